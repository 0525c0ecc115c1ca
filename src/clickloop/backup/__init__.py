"""Backup and restore: a consistent copy of a data folder in one file, and the folder out of it again.

- ``taking.take_backup``: pause settling for a moment, copy what belongs together, pack it into one archive.
- ``archive`` and ``manifest``: the archive's format; every byte of it is checked when it is read.
- ``restoring.restore``: verify the whole archive beside the place where it goes, then put it there.
- ``place``: the folder remembers where it is, so that a started copy of it is noticed.
"""
