"""Passwords, hashed with Argon2id. ``PasswordThreads`` bounds how many are hashed at once."""

import argon2
from argon2.exceptions import InvalidHashError, VerificationError

HASHER = argon2.PasswordHasher(time_cost=2, memory_cost=46 * 1024, parallelism=1)
"""Above the minimum of OWASP's Password Storage Cheat Sheet for Argon2id (46 MiB, 1 pass, 1 lane): about 60 ms of one core."""
NOBODY = "$argon2id$v=19$m=47104,t=2,p=1$mPrZCUrwpl8+0KR3V2qS5A$fx83TBKZTVKA4kGeYXp+xBwOIb01PsMA2VeJRjFHxOA"
"""A hash by ``HASHER`` that matches no password, so that checking an unknown name takes as long."""


class Passwords:
    """Hashes and verifies passwords. Thread-safe."""

    def __init__(self, hasher: argon2.PasswordHasher = HASHER) -> None:
        self._hasher = hasher
        self._no_user = NOBODY if hasher is HASHER else hasher.hash(b"nobody")

    def hash(self, password: str) -> str:
        """Return the hash of a password, with salt and parameters."""
        return self._hasher.hash(password.encode("utf-8", "surrogatepass"))

    def verify(self, stored: str | None, password: str) -> bool:
        """Return whether the password matches. None (no such user, or no password) takes as long and never matches."""
        try:
            self._hasher.verify(stored or self._no_user, password.encode("utf-8", "surrogatepass"))
        # A damaged hash matches nothing, and is not an error of the request.
        except (VerificationError, InvalidHashError):
            return False
        return stored is not None

    def is_outdated(self, stored: str) -> bool:
        """Return whether the hash was made with parameters other than today's."""
        return self._hasher.check_needs_rehash(stored)
