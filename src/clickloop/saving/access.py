"""Access to the panel: sign-in and sign-out, sessions, one-time links, and CSRF tokens."""

import dataclasses
import hashlib
import hmac
import secrets

import msgspec
from msgspec.structs import replace
from sqlalchemy import Connection

from clickloop.clock import DAY_MS, Clock, wall_clock
from clickloop.explained import Explained
from clickloop.people.browser import Browser
from clickloop.people.devices import Devices
from clickloop.people.password_threads import PasswordThreads
from clickloop.people.passwords import Passwords
from clickloop.people.sign_in_limits import SignInLimits
from clickloop.people.user import Actor, Role, User, Via, name_key, password_faults
from clickloop.setup.fault import FaultCode, FieldFault, InvalidInputError
from clickloop.store.ledger.ledger import Ledger
from clickloop.store.ledger.logs.audit_log import Action, insert_change
from clickloop.store.ledger.people.sessions import (
    SEEN_RESOLUTION_MS,
    Session,
    delete_links_of_user,
    delete_old_sessions,
    delete_session,
    delete_sessions_of_user,
    find_link,
    find_session,
    has_old_sessions,
    insert_link,
    insert_session,
    note_link_use,
    note_session_use,
)
from clickloop.store.ledger.people.users import (
    find_user,
    find_user_named,
    has_owner_with_password,
    note_rehash,
    save_user,
)

SESSION_MS = 30 * DAY_MS  # limits the use of a stolen cookie, even one that is used every day
IDLE_MS = 7 * DAY_MS  # for a browser that was left signed in elsewhere
LINK_MS = DAY_MS  # a link is sent by chat or mail, and may be read the next morning
MAX_CREDENTIAL_LENGTH = 200
"""Maximum length of a token, session secret or link secret. Ours are shorter; longer input is not hashed or looked up."""
WELCOME_PATH = "/panel/welcome"
"""Page of a one-time link, whose secret is in ``?key=``."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Access:
    """Dependencies of signing in. Thread-safe."""

    ledger: Ledger
    clock: Clock = wall_clock
    passwords: Passwords = dataclasses.field(default_factory=Passwords)
    limits: SignInLimits = dataclasses.field(default_factory=SignInLimits)
    threads: PasswordThreads = dataclasses.field(default_factory=PasswordThreads)
    """Threads for the functions that hash passwords: ``sign_in``, ``accept_invitation``, ``change_password``."""
    devices: Devices = dataclasses.field(default_factory=lambda: Devices(secrets.token_bytes(32)))


class SignedIn(msgspec.Struct, frozen=True):
    """A successful sign-in. ``secret`` goes into the cookie and is stored nowhere else."""

    secret: str
    user: User
    expires_at: int


class NotSignedInReason(Explained):
    """Why a sign-in failed. A closed list."""

    # One sentence for a wrong name and a wrong password, so that it does not reveal which names exist.
    WRONG = "wrong", "Name or password is wrong."
    TOO_MANY = "too_many", "Too many failed attempts. Wait a minute, then try again."


class NotSignedIn(msgspec.Struct, frozen=True):
    """A failed sign-in. ``wait_seconds``: delay before the next attempt."""

    reason: NotSignedInReason
    wait_seconds: int = 0


class ActiveSession(msgspec.Struct, frozen=True):
    """A session in use and its user."""

    session: Session
    user: User

    @property
    def actor(self) -> Actor:
        """Return the user as the audit log records them."""
        return _actor(self.user)


class Invitation(msgspec.Struct, frozen=True):
    """The purpose of a valid one-time link: to set the password of ``user``, or with None to create the first owner."""

    user: User | None


def sign_in(
    access: Access, name: str, password: str, browser: Browser, former: str = "", device: str = ""
) -> SignedIn | NotSignedIn:
    """Sign a user in with a new session; end the session with the secret ``former``, which the browser had before.

    ``device`` is the cookie of a device that has signed in before (``devices``): its attempts are counted separately from its
    address.
    """
    now_ms = access.clock()
    key = name_key(name)[:200]
    with access.ledger.read() as tx:
        user = find_user_named(tx, name)
    if user is not None and user.disabled_at is not None:
        user = None
    known = access.devices.id_for_user(device, user.id) if user is not None else ""
    place = f"device {known}" if known else browser.address
    wait_ms = access.limits.attempt(key, place, now_ms)
    if wait_ms:
        return NotSignedIn(NotSignedInReason.TOO_MANY, -(-wait_ms // 1000))
    stored = user.password_hash if user is not None else None
    try:
        is_right = access.passwords.verify(stored, password)
        fresh = (
            access.passwords.hash(password) if is_right and stored and access.passwords.is_outdated(stored) else None
        )
    # The check was interrupted, so the attempt must not count as failed.
    except BaseException:
        access.limits.uncount(key, place)
        raise
    if user is None or stored is None or not is_right:
        return NotSignedIn(NotSignedInReason.WRONG)
    access.limits.succeeded(key, place)
    with access.ledger.write() as tx:
        # Read again: the user may have been disabled, or the password changed, while the hash was computed.
        user = find_user(tx, user.id)
        if user is None or user.disabled_at is not None or user.password_hash != stored:
            return NotSignedIn(NotSignedInReason.WRONG)
        if fresh is not None:
            note_rehash(tx, user.id, stored, fresh)
        _end(tx, former)
        return _begin(tx, user, browser, now_ms)


def find_active_session(access: Access, secret: str) -> ActiveSession | None:
    """Return the session with that secret; None if it is unknown, ended, expired, idle for too long, or of a disabled user."""
    if not secret or len(secret) > MAX_CREDENTIAL_LENGTH:
        return None
    now_ms = access.clock()
    with access.ledger.read() as tx:
        session = find_session(tx, secret)
        user = find_user(tx, session.user_id) if session is not None else None
    if session is None or user is None or user.disabled_at is not None:
        return None
    if not is_live(session, now_ms):
        return None
    # Not on every request: most only read, and writers wait for one another.
    if session.last_seen_at <= now_ms - SEEN_RESOLUTION_MS:
        with access.ledger.write() as tx:
            note_session_use(tx, session.id, now_ms)
    return ActiveSession(session, user)


def is_live(session: Session, now_ms: int) -> bool:
    """Return whether a session has neither expired nor been idle for too long."""
    return now_ms < session.expires_at and now_ms - session.last_seen_at <= IDLE_MS


def sign_out(access: Access, secret: str) -> None:
    """End the session with that secret."""
    with access.ledger.write() as tx:
        session = _end(tx, secret)
        user = find_user(tx, session.user_id) if session is not None else None
        if session is not None and user is not None:
            _note(tx, ActiveSession(session, user).actor, access.clock(), user, Action.SIGNED_OUT)


def sign_out_everywhere(access: Access, active_session: ActiveSession) -> int:
    """End all other sessions of a user and return their number."""
    with access.ledger.write() as tx:
        ended = delete_sessions_of_user(tx, active_session.user.id, keep_id=active_session.session.id)
        _note(tx, active_session.actor, access.clock(), active_session.user, Action.SIGNED_OUT)
    return ended


def delete_ended_sessions(access: Access) -> None:
    """Delete expired and idle sessions."""
    now_ms = access.clock()
    with access.ledger.read() as tx:
        if not has_old_sessions(tx, now_ms, now_ms - IDLE_MS):
            return
    with access.ledger.write() as tx:
        delete_old_sessions(tx, now_ms, now_ms - IDLE_MS)


def csrf_token(secret: str) -> str:
    """Return the CSRF token that forms of a session must send. It cannot be computed without the session's secret."""
    return hmac.new(secret.encode("utf-8", "replace"), b"clickloop form", hashlib.sha256).hexdigest()


def make_link(tx: Connection, user_id: int | None, now_ms: int) -> str:
    """Save a one-time link for a user, or with None for the first owner, and return its secret. Earlier links become invalid."""
    secret = secrets.token_urlsafe(32)
    insert_link(tx, secret, user_id, now_ms, now_ms + LINK_MS)
    return secret


def link_path(secret: str) -> str:
    """Return the path of a one-time link on the panel's host."""
    return f"{WELCOME_PATH}?key={secret}"


def find_invitation(access: Access, key: str) -> Invitation | None:
    """Return the purpose of a link; None if it is unknown, used, expired, or no longer needed."""
    with access.ledger.read() as tx:
        return _welcome(tx, key, access.clock())


def accept_invitation(access: Access, key: str, name: str, password: str, browser: Browser) -> SignedIn | None:
    """Set the password of a link's user and sign them in; their other sessions end. Return None if the link is not valid.

    ``name`` is used for the first owner only. Raise InvalidInputError.
    """
    welcome = find_invitation(access, key)
    if welcome is None:
        return None
    faults = password_faults("password", password, welcome.user.name if welcome.user else name)
    if faults:
        raise InvalidInputError(tuple(faults))
    # Hashed outside the transaction, which keeps other writers waiting.
    hashed = access.passwords.hash(password)
    now_ms = access.clock()
    with access.ledger.write() as tx:
        welcome = _welcome(tx, key, now_ms)
        # Marked as used first: of two concurrent requests with one link, the second fails, whatever both have read before.
        if welcome is None or not note_link_use(tx, key, now_ms):
            return None
        changed = welcome.user or find_unset_owner(tx, name) or User(name=name, role=Role.OWNER)
        user = save_user(tx, replace(changed, password_hash=hashed), now_ms)
        delete_sessions_of_user(tx, user.id)
        _note(tx, _actor(user), now_ms, user, Action.PASSWORD_SET)
        return _begin(tx, user, browser, now_ms)


def find_unset_owner(tx: Connection, name: str) -> User | None:
    """Return the owner with that name who was created by a command and has no password yet."""
    user = find_user_named(tx, name)
    is_unset = user is not None and user.role is Role.OWNER and user.password_hash is None and user.disabled_at is None
    return user if is_unset else None


def change_password(
    access: Access, user: User, current: str, password: str, actor: Actor, keep: int | None = None
) -> None:
    """Set a new password and end all sessions except ``keep``. Raise InvalidInputError, also if ``current`` is wrong."""
    address = f"user {user.id}"
    wait_ms = access.limits.attempt(name_key(user.name), address, access.clock())
    if wait_ms:
        sentence = f"Too many failed attempts. Try again in {-(-wait_ms // 1000)} seconds."
        raise InvalidInputError((FieldFault("current", FaultCode.NOT_ALLOWED, sentence),))
    try:
        is_right = access.passwords.verify(user.password_hash, current)
    # The check was interrupted, so the attempt must not count as failed.
    except BaseException:
        access.limits.uncount(name_key(user.name), address)
        raise
    if not is_right:
        raise InvalidInputError((FieldFault("current", FaultCode.NOT_ALLOWED, "This is not your current password."),))
    access.limits.succeeded(name_key(user.name), address)
    faults = password_faults("password", password, user.name)
    if faults:
        raise InvalidInputError(tuple(faults))
    hashed = access.passwords.hash(password)
    now_ms = access.clock()
    with access.ledger.write() as tx:
        # Read again: another request may have changed the password while the hashes were computed.
        now = find_user(tx, user.id)
        if now is None or now.password_hash != user.password_hash:
            raise InvalidInputError(
                (FieldFault("current", FaultCode.CONFLICT, "Your password was changed in the meantime. Try again."),)
            )
        save_user(tx, replace(now, password_hash=hashed), now_ms)
        delete_sessions_of_user(tx, user.id, keep_id=keep)
        delete_links_of_user(tx, user.id)
        _note(tx, actor, now_ms, now, Action.PASSWORD_SET)


def _welcome(tx: Connection, key: str, now_ms: int) -> Invitation | None:
    link = find_link(tx, key) if 0 < len(key) <= MAX_CREDENTIAL_LENGTH else None
    if link is None or link.used_at is not None or now_ms >= link.expires_at:
        return None
    if link.user_id is None:
        return None if has_owner_with_password(tx) else Invitation(None)
    user = find_user(tx, link.user_id)
    return None if user is None or user.disabled_at is not None else Invitation(user)


def _begin(tx: Connection, user: User, browser: Browser, now_ms: int) -> SignedIn:
    secret = secrets.token_urlsafe(32)
    expires_at = now_ms + SESSION_MS
    insert_session(tx, secret, user.id, now_ms, expires_at, browser.address, browser.useragent)
    after = {"address": browser.address, "useragent": browser.useragent[:400]}
    insert_change(tx, _actor(user), now_ms, noun="users", record_id=str(user.id), action=Action.SIGNED_IN, after=after)
    return SignedIn(secret, user, expires_at)


def _end(tx: Connection, secret: str) -> Session | None:
    session = find_session(tx, secret) if 0 < len(secret) <= MAX_CREDENTIAL_LENGTH else None
    if session is not None:
        delete_session(tx, session.user_id, session.id)
    return session


def _actor(user: User) -> Actor:
    return Actor(user_id=user.id, name=user.name, role=user.role, via=Via.PANEL)


def _note(tx: Connection, actor: Actor, now_ms: int, user: User, action: Action) -> None:
    insert_change(tx, actor, now_ms, noun="users", record_id=str(user.id), action=action)
