"""Routing visitors along flows: compiled conditions, rules and paths, and where they lead."""
