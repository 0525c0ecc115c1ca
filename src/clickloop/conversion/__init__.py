"""Conversions: parsing notices and attributing them to clicks."""
