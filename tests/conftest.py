"""What all tests share."""

import os

from hypothesis import settings

settings.register_profile(
    "clickloop",
    deadline=None,  # a test is never timed: machines are busy
    derandomize="CI"
    in os.environ,  # a change is judged by the same examples as the one before; new ones are found while working
)
settings.load_profile("clickloop")
