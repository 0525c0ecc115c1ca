"""Taking and settling what visitors do on landing pages and directly tracked pages."""
