"""Who uses the panel and the API: users, passwords, devices."""
