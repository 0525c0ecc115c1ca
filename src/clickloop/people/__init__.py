"""Users of the panel and the API: roles, passwords, devices."""
