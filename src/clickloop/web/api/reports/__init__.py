"""Endpoints of the reports."""
