"""Endpoints of what the user sets up."""
