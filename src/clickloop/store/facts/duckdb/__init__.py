"""The facts in DuckDB."""
