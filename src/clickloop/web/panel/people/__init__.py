"""Pages of users, API tokens, the profile, sign-in and the audit log."""
