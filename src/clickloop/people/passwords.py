"""Passwords, hashed with Argon2id. ``PasswordThreads`` bounds how many are hashed at once."""

import argon2
from argon2.exceptions import InvalidHashError, VerificationError

HASHER = argon2.PasswordHasher(time_cost=2, memory_cost=46 * 1024, parallelism=1)
"""Above what OWASP's Password Storage Cheat Sheet asks of Argon2id (46 MiB, 1 pass, 1 lane): about 60 ms of one core."""
NOBODY = "$argon2id$v=19$m=47104,t=2,p=1$mPrZCUrwpl8+0KR3V2qS5A$fx83TBKZTVKA4kGeYXp+xBwOIb01PsMA2VeJRjFHxOA"
"""A hash by ``HASHER`` that no password is right for: so that a name that nobody has costs the same."""


class Passwords:
    """Hashes and verifies. Threads may share it."""

    def __init__(self, hasher: argon2.PasswordHasher = HASHER) -> None:
        self._hasher = hasher
        self._nobody = NOBODY if hasher is HASHER else hasher.hash(b"nobody")

    def hash(self, password: str) -> str:
        """What is kept of a password, with a salt and the parameters."""
        return self._hasher.hash(password.encode("utf-8", "surrogatepass"))

    def is_right(self, kept: str | None, password: str) -> bool:
        """Whether it is the password. None, for a user who is not there or has none, costs the same and is never right."""
        try:
            self._hasher.verify(kept or self._nobody, password.encode("utf-8", "surrogatepass"))
        # A damaged hash lets nobody in, and is no fault of the request.
        except (VerificationError, InvalidHashError):
            return False
        return kept is not None

    def is_outdated(self, kept: str) -> bool:
        """Whether the hash was made with other parameters than today's."""
        return self._hasher.check_needs_rehash(kept)
