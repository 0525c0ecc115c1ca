"""What all tests share."""

from hypothesis import settings

settings.register_profile("clickloop", deadline=None)  # a test is never timed: machines are busy
settings.load_profile("clickloop")
