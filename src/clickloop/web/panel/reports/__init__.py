"""Dashboard and reports."""
