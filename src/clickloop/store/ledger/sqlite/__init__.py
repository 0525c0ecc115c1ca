"""SQL and settings specific to SQLite. Those of another engine belong in a sibling folder named after it."""
