"""Pages that explain: trace, try it, check, health, test clicks."""
