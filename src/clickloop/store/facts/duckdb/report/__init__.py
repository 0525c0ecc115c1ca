"""Reports compiled to DuckDB's SQL."""
