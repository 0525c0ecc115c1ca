"""Pages of flows: rules, conditions and paths."""
