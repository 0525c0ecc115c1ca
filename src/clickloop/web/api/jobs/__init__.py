"""Endpoints of jobs over many records."""
