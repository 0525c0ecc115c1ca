"""Pages of users, tokens, profile, signing in and the audit log."""
