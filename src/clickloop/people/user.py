"""Users of the panel and the API, their roles and rights."""

import enum
import unicodedata

import msgspec

from clickloop.explained import Explained
from clickloop.setup.fault import FaultCode, FieldFault, text_faults

MAX_NAME_LENGTH = 100  # shown in lists and in the audit log
MIN_PASSWORD_LENGTH = 10  # shorter ones can be brute-forced once the hashes are stolen
MAX_PASSWORD_LENGTH = 1_000  # strangers may send it, and hashing long text takes time
MIN_GUESSES = 1_000_000
"""Minimum number of guesses that a password must withstand: sign-ins are limited, but lists of common passwords are short."""
MAX_GUESSED = 72
"""Number of characters used to estimate guesses: the time grows faster than their number."""


class Right(enum.StrEnum):
    """A permission beyond reading, which every signed-in user has."""

    WORK = "work"
    """Change the set-up, report conversions, upload, resend, reprocess."""
    SECRETS = "secrets"
    """See secrets that are masked for others: networks' tokens, secrets in requests."""
    ADMINISTER = "administer"
    """Manage users, tokens and settings; read the audit log."""


class Role(Explained):
    """A user's role. Only owners manage owners and admins."""

    OWNER = "owner", "Full access."
    ADMIN = "admin", "Everything except managing owners and admins."
    WORKER = "worker", "Campaigns and conversions; no secrets, users or settings."
    VIEWER = "viewer", "Read-only access."

    def may(self, right: Right) -> bool:
        """Return whether this role has the right."""
        return right in _RIGHTS[self]

    def weaker(self, other: "Role") -> "Role":
        """Return the role with fewer rights of the two."""
        return max(self, other, key=_RANKS.index)

    def reaches(self, other: "Role") -> bool:
        """Return whether this role has all rights of the other."""
        return _RANKS.index(self) <= _RANKS.index(other)

    def manages(self, other: "Role") -> bool:
        """Return whether this role may create, change and sign in users of the other. Only owners manage owners and admins."""
        return self is Role.OWNER or (self is Role.ADMIN and other in (Role.WORKER, Role.VIEWER))


class NotPermittedError(Exception):
    """The actor's role does not allow a change. The message says who may make it."""


_RANKS = (Role.OWNER, Role.ADMIN, Role.WORKER, Role.VIEWER)

_RIGHTS = {
    Role.OWNER: frozenset(Right),
    Role.ADMIN: frozenset(Right),
    Role.WORKER: frozenset({Right.WORK}),
    Role.VIEWER: frozenset[Right](),
}


class Via(enum.StrEnum):
    """How an actor got access."""

    PANEL = "panel"
    TOKEN = "token"  # noqa: S105 – the word, not a secret
    COMMAND = "command"
    """A command on this machine."""


class Actor(msgspec.Struct, frozen=True, kw_only=True):
    """The originator of a change, as the audit log records them. ``user_id`` 0: a command, or a token without a user."""

    user_id: int = 0
    name: str
    role: Role
    via: Via


THIS_MACHINE = Actor(name="command line", role=Role.OWNER, via=Via.COMMAND)
"""The actor of commands on the machine itself."""


class User(msgspec.Struct, frozen=True, kw_only=True):
    """A user of panel and API. ``disabled_at`` None: may sign in. ``time_zone`` empty: the instance's."""

    id: int = 0
    name: str
    role: Role
    password_hash: str | None = None
    """Argon2id with its parameters; None: the user needs a one-time link first."""
    time_zone: str = ""
    home_view_id: int | None = None
    """The saved view with which their reports begin."""
    created_at: int = 0
    updated_at: int = 0
    disabled_at: int | None = None
    version: int = 0
    """See ``store.ledger.setup.versions``; 0: not saved yet."""


def name_key(name: str) -> str:
    """Return the key by which names are compared: case and Unicode spelling are ignored."""
    plain = name.encode("utf-8", "replace").decode()  # surrogates, which no name has, cannot be looked up
    return unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", plain).casefold()).strip()


def name_faults(name: str) -> list[FieldFault]:
    """Return the faults of a user name, except that it may be taken."""
    faults = text_faults("name", name, MAX_NAME_LENGTH, required=True)
    if not faults and (name != name.strip() or not name_key(name) or len(name_key(name)) > 2 * MAX_NAME_LENGTH):
        faults.append(
            FieldFault("name", FaultCode.CHARACTER, "Remove spaces at the start and end, and unusual characters.")
        )
    return faults


def password_faults(field: str, password: str, name: str) -> list[FieldFault]:
    """Return the faults of a new password for the user with that name."""
    if len(password) < MIN_PASSWORD_LENGTH:
        sentence = f"Use at least {MIN_PASSWORD_LENGTH} characters. This password has {len(password)}."
        return [FieldFault(field, FaultCode.TOO_SHORT, sentence)]
    if len(password) > MAX_PASSWORD_LENGTH:
        sentence = f"Use at most {MAX_PASSWORD_LENGTH} characters. This password has {len(password)}."
        return [FieldFault(field, FaultCode.TOO_LONG, sentence)]
    if name_key(password) == name_key(name):
        return [FieldFault(field, FaultCode.NOT_ALLOWED, "The password must differ from the user name.")]
    return _easy_to_guess(field, password, name)


def _easy_to_guess(field: str, password: str, name: str) -> list[FieldFault]:
    """Return the fault of a password that common passwords, or keyboard and calendar patterns, reach within a million guesses."""
    from zxcvbn import zxcvbn  # imported here: its word lists take several megabytes, and passwords are rarely set

    estimate = zxcvbn(password[:MAX_GUESSED], user_inputs=[name, "clickloop"])
    if estimate["guesses"] >= MIN_GUESSES:
        return []
    why = estimate["feedback"]["warning"]
    sentence = f"This password is too easy to guess. {f'{why} ' if why else ''}Try four unrelated words."
    return [FieldFault(field, FaultCode.NOT_ALLOWED, sentence)]
