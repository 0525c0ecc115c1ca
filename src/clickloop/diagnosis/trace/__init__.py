"""The story of a click: what happened, in order, and what it led to."""
