"""The processes: the supervisor, the core and its workers."""
