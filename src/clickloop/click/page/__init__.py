"""Landing pages and directly tracked pages: what visitors do there, and what a landing click needs to know."""
