"""Trying a changed flow on the recorded clicks of the last days: who would go elsewhere, and what those clicks earned."""
