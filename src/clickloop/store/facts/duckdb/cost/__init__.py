"""Entered cost and cost by models."""
