"""Alarms: the reports of each process, the monitor that watches them, and the messages that it sends."""
