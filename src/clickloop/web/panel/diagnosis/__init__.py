"""Pages for diagnosis: trace, try it, check, health, test clicks."""
