"""SQL and settings that are SQLite's own. Those of another engine stand beside this folder, in one of its name."""
