"""Alarms: what each process reports, who watches, and the messages about it."""
