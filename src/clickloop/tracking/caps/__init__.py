"""Caps of offers: counting what they limit, and publishing which are reached."""
