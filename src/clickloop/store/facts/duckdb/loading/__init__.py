"""Loading segments, conversions and page events."""
