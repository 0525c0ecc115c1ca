"""Backup and restore: a consistent copy of a data folder in a single file, and back.

- ``taking.take_backup``: pause settling for a moment, copy what belongs together, and pack it into an archive.
- ``archive`` and ``manifest``: the archive's format; every byte is verified when it is read.
- ``restoring.restore``: unpack and verify the whole archive within the target folder, then move it into place.
- ``place``: the folder remembers where it was used, so that a copy is noticed when it is started.
"""
