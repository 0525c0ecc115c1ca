"""The API under /api/v1: a file per noun."""
