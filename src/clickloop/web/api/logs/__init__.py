"""Endpoints of the logs."""
