"""The operating system: files, locks, sockets, processes, the log."""
