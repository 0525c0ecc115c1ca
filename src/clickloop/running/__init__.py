"""Watching over the processes: heartbeats, vital signs, and alarms that leave the machine."""
