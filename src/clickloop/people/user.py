"""The user of panel and API: who he is, his role, and what that role may do."""

import enum
import unicodedata

import msgspec

from clickloop.explained import Explained
from clickloop.setup.fault import Fault, FaultCode, text_faults

MAX_NAME_LENGTH = 100  # it stands in lists and in the log of changes
MIN_PASSWORD_LENGTH = 10  # shorter ones are found by trying all, once the hashes are stolen
MAX_PASSWORD_LENGTH = 1_000  # hashing a long text takes time, and strangers may send it
MIN_GUESSES = 1_000_000
"""A password that is guessed with fewer is refused: sign-ins are limited, but lists of common passwords are short."""
MAX_GUESSED = 72
"""Characters of a password that are looked at for that: the time it takes grows faster than their number."""


class Right(enum.StrEnum):
    """What somebody may do; everybody who is signed in may look."""

    WORK = "work"
    """Change the set-up, convert, upload, resend, run again."""
    SECRETS = "secrets"
    """See what is masked for others: tokens of networks, secrets in requests."""
    ADMINISTER = "administer"
    """Users, tokens, settings, the log of changes."""


class Role(Explained):
    """A user's role. An owner can do everything; only an owner makes owners and admins."""

    OWNER = "owner", "May do everything."
    ADMIN = "admin", "May do everything but make or change owners and admins."
    WORKER = "worker", "Works with campaigns and conversions; sees no secrets, users or settings."
    VIEWER = "viewer", "May look, and change nothing."

    def may(self, right: Right) -> bool:
        """Whether this role has the right."""
        return right in _RIGHTS[self]

    def weaker(self, other: "Role") -> "Role":
        """The one of the two that may do less."""
        return max(self, other, key=_RANKS.index)

    def reaches(self, other: "Role") -> bool:
        """Whether this role may do all that the other may."""
        return _RANKS.index(self) <= _RANKS.index(other)

    def manages(self, other: "Role") -> bool:
        """Whether users of the other role may be made, changed and let in by this one: only owners manage owners and admins."""
        return self is Role.OWNER or (self is Role.ADMIN and other in (Role.WORKER, Role.VIEWER))


_RANKS = (Role.OWNER, Role.ADMIN, Role.WORKER, Role.VIEWER)

_RIGHTS = {
    Role.OWNER: frozenset(Right),
    Role.ADMIN: frozenset(Right),
    Role.WORKER: frozenset({Right.WORK}),
    Role.VIEWER: frozenset[Right](),
}


class Via(enum.StrEnum):
    """How somebody came in."""

    PANEL = "panel"
    TOKEN = "token"  # noqa: S105 – the word, not a secret
    COMMAND = "command"
    """A command on this machine."""


class Actor(msgspec.Struct, frozen=True, kw_only=True):
    """Who does something, as the log of changes names him. ``user_id`` 0: no user, but a command or an unowned token."""

    user_id: int = 0
    name: str
    role: Role
    via: Via


THIS_MACHINE = Actor(name="command line", role=Role.OWNER, via=Via.COMMAND)
"""Who works by commands on the machine itself."""


class User(msgspec.Struct, frozen=True, kw_only=True):
    """Somebody who may sign in. ``disabled_at`` None: he may. ``time_zone`` empty: that of the instance."""

    id: int = 0
    name: str
    role: Role
    password_hash: str | None = None
    """Argon2id with its parameters; None: he has to come by a link first."""
    time_zone: str = ""
    created_at: int = 0
    updated_at: int = 0
    disabled_at: int | None = None
    version: int = 0
    """See ``store.ledger.setup.versions``; 0: not saved yet."""


def name_key(name: str) -> str:
    """What makes two names the same: in any case, in any spelling of the same characters."""
    plain = name.encode("utf-8", "replace").decode()  # half characters, which no name has, cannot be looked up
    return unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", plain).casefold()).strip()


def name_faults(name: str) -> list[Fault]:
    """What is wrong with a name to sign in with, but whether somebody has it."""
    faults = text_faults("name", name, MAX_NAME_LENGTH, required=True)
    if not faults and (name != name.strip() or not name_key(name) or len(name_key(name)) > 2 * MAX_NAME_LENGTH):
        faults.append(Fault("name", FaultCode.CHARACTER, "It begins or ends with a space, or is written oddly."))
    return faults


def password_faults(field: str, password: str, name: str) -> list[Fault]:
    """What is wrong with a new password of the user of that name."""
    if len(password) < MIN_PASSWORD_LENGTH:
        sentence = f"It has {len(password)} characters, at least {MIN_PASSWORD_LENGTH} are needed."
        return [Fault(field, FaultCode.TOO_SHORT, sentence)]
    if len(password) > MAX_PASSWORD_LENGTH:
        sentence = f"It has {len(password)} characters, at most {MAX_PASSWORD_LENGTH} are taken."
        return [Fault(field, FaultCode.TOO_LONG, sentence)]
    if name_key(password) == name_key(name):
        return [Fault(field, FaultCode.NOT_ALLOWED, "It is the name to sign in with: choose something else.")]
    return _easy_to_guess(field, password, name)


def _easy_to_guess(field: str, password: str, name: str) -> list[Fault]:
    """Return the fault of a password that a list of common ones, or a pattern of keyboard or calendar, finds within a million tries."""
    from zxcvbn import zxcvbn  # here: its lists of words take some megabytes, and passwords are seldom set

    found = zxcvbn(password[:MAX_GUESSED], user_inputs=[name, "clickloop"])
    if found["guesses"] >= MIN_GUESSES:
        return []
    why = found["feedback"]["warning"]
    sentence = f"It is too easy to guess. {f'{why} ' if why else ''}Four unrelated words make a good one."
    return [Fault(field, FaultCode.NOT_ALLOWED, sentence)]
