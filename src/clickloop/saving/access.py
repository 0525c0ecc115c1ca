"""Getting into the panel: signing in and out, sessions, one-time links, and the word that guards forms."""

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
from clickloop.setup.fault import Fault, FaultCode, InvalidInputError
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

SESSION_MS = 30 * DAY_MS  # a stolen cookie is of use no longer, even when it is used every day
IDLE_MS = 7 * DAY_MS  # a browser that was left signed in elsewhere
LINK_MS = DAY_MS  # a link is passed on by chat or mail, and read the next morning
MAX_CREDENTIAL_LENGTH = 200
"""Of tokens, sessions and links. Ours are shorter; what is longer is not worth hashing and looking up."""
WELCOME = "/panel/welcome"
"""The page that a one-time link leads to; ``?key=`` carries its secret."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Access:
    """What letting people in needs. Threads may share it."""

    ledger: Ledger
    clock: Clock = wall_clock
    passwords: Passwords = dataclasses.field(default_factory=Passwords)
    limits: SignInLimits = dataclasses.field(default_factory=SignInLimits)
    threads: PasswordThreads = dataclasses.field(default_factory=PasswordThreads)
    """For the functions that hash passwords: ``sign_in``, ``enter_by_link``, ``change_password``."""
    devices: Devices = dataclasses.field(default_factory=lambda: Devices(secrets.token_bytes(32)))


class SignedIn(msgspec.Struct, frozen=True):
    """Somebody is in. ``secret`` goes into his cookie and is kept nowhere else."""

    secret: str
    user: User
    expires_at: int


class NotSignedInReason(Explained):
    """Why nobody was let in. A closed list."""

    # One sentence for a wrong name and a wrong password: it must not tell which names exist.
    WRONG = "wrong", "Name or password is wrong."
    TOO_MANY = "too_many", "Too many failed attempts. Wait a minute, then try again."


class NotSignedIn(msgspec.Struct, frozen=True):
    """Nobody was let in. ``wait_seconds``: how long to wait before the next try."""

    reason: NotSignedInReason
    wait_seconds: int = 0


class Seat(msgspec.Struct, frozen=True):
    """A session in use, and whose it is."""

    session: Session
    user: User

    @property
    def actor(self) -> Actor:
        """The same as the log of changes names him."""
        return Actor(user_id=self.user.id, name=self.user.name, role=self.user.role, via=Via.PANEL)


class Welcome(msgspec.Struct, frozen=True):
    """What a one-time link is good for. ``user`` None: to become the first owner, under a name of one's own."""

    user: User | None


def sign_in(
    access: Access, name: str, password: str, browser: Browser, former: str = "", device: str = ""
) -> SignedIn | NotSignedIn:
    """Let somebody in under a new secret; ``former`` is the one that their browser had, which ends.

    ``device``: the cookie of a device that has signed in before (``devices``): its tries are counted apart from its address.
    """
    now_ms = access.clock()
    key = name_key(name)[:200]
    with access.ledger.read() as tx:
        user = find_user_named(tx, name)
    if user is not None and user.disabled_at is not None:
        user = None
    known = access.devices.id_for_user(device, user.id) if user is not None else ""
    place = f"device {known}" if known else browser.address
    wait_ms = access.limits.enter(key, place, now_ms)
    if wait_ms:
        return NotSignedIn(NotSignedInReason.TOO_MANY, -(-wait_ms // 1000))
    kept = user.password_hash if user is not None else None
    try:
        right = access.passwords.is_right(kept, password)
        fresh = access.passwords.hash(password) if right and kept and access.passwords.is_outdated(kept) else None
    # The check broke off, so the try must not count against anybody.
    except BaseException:
        access.limits.not_tried(key, place)
        raise
    if user is None or kept is None or not right:
        return NotSignedIn(NotSignedInReason.WRONG)
    access.limits.succeeded(key, place)
    with access.ledger.write() as tx:
        user = find_user(tx, user.id)
        if user is None or user.disabled_at is not None or user.password_hash != kept:
            return NotSignedIn(NotSignedInReason.WRONG)
        if fresh is not None:
            note_rehash(tx, user.id, kept, fresh)
        _end(tx, former)
        return _begin(tx, user, browser, now_ms)


def session_of(access: Access, secret: str) -> Seat | None:
    """Whose session it is; None for one that is unknown, ended, expired, idle for too long, or of a disabled user."""
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
    if session.last_seen_at <= now_ms - SEEN_RESOLUTION_MS:
        with access.ledger.write() as tx:
            note_session_use(tx, session.id, now_ms)
    return Seat(session, user)


def is_live(session: Session, now_ms: int) -> bool:
    """Whether a session has neither come to its end nor been idle for too long."""
    return now_ms < session.expires_at and now_ms - session.last_seen_at <= IDLE_MS


def sign_out(access: Access, secret: str) -> None:
    """Ends the session of that secret, for ever."""
    with access.ledger.write() as tx:
        session = _end(tx, secret)
        user = find_user(tx, session.user_id) if session is not None else None
        if session is not None and user is not None:
            _note(tx, Seat(session, user).actor, access.clock(), user, Action.SIGNED_OUT)


def sign_out_everywhere(access: Access, seat: Seat) -> int:
    """Ends all other sessions of a user; answers how many."""
    with access.ledger.write() as tx:
        ended = delete_sessions_of_user(tx, seat.user.id, keep_id=seat.session.id)
        _note(tx, seat.actor, access.clock(), seat.user, Action.SIGNED_OUT)
    return ended


def forget_old_sessions(access: Access) -> None:
    """Deletes sessions that have ended by themselves."""
    now_ms = access.clock()
    with access.ledger.read() as tx:
        if not has_old_sessions(tx, now_ms, now_ms - IDLE_MS):
            return
    with access.ledger.write() as tx:
        delete_old_sessions(tx, now_ms, now_ms - IDLE_MS)


def csrf_of(secret: str) -> str:
    """What forms of that session must bring: nobody who does not know the secret can make it."""
    return hmac.new(secret.encode("utf-8", "replace"), b"clickloop form", hashlib.sha256).hexdigest()


def make_link(tx: Connection, user_id: int | None, now_ms: int) -> str:
    """The secret of a new one-time link for a user, or with None for the first owner; earlier ones are not valid any more."""
    secret = secrets.token_urlsafe(32)
    insert_link(tx, secret, user_id, now_ms, now_ms + LINK_MS)
    return secret


def link_path(secret: str) -> str:
    """The path of a one-time link on the host of the panel."""
    return f"{WELCOME}?key={secret}"


def welcome_of(access: Access, key: str) -> Welcome | None:
    """What a link is good for; None when it is unknown, used, expired, or nobody needs it any more."""
    with access.ledger.read() as tx:
        return _welcome(tx, key, access.clock())


def enter_by_link(access: Access, key: str, name: str, password: str, browser: Browser) -> SignedIn | None:
    """Sets the password that a link is for and lets its user in; his other sessions end. None: the link is not valid.

    ``name`` counts for the first owner only. Raise InvalidInputError.
    """
    welcome = welcome_of(access, key)
    if welcome is None:
        return None
    faults = password_faults("password", password, welcome.user.name if welcome.user else name)
    if faults:
        raise InvalidInputError(tuple(faults))
    hashed = access.passwords.hash(password)
    now_ms = access.clock()
    with access.ledger.write() as tx:
        welcome = _welcome(tx, key, now_ms)
        # Used up first: of two who come with one link, the second finds it used, whatever both have read before.
        if welcome is None or not note_link_use(tx, key, now_ms):
            return None
        wanted = welcome.user or find_unset_owner(tx, name) or User(name=name, role=Role.OWNER)
        user = save_user(tx, replace(wanted, password_hash=hashed), now_ms)
        delete_sessions_of_user(tx, user.id)
        actor = Actor(user_id=user.id, name=user.name, role=user.role, via=Via.PANEL)
        _note(tx, actor, now_ms, user, Action.PASSWORD_SET)
        return _begin(tx, user, browser, now_ms)


def find_unset_owner(tx: Connection, name: str) -> User | None:
    """An owner of that name who was made by a command and has no password yet."""
    user = find_user_named(tx, name)
    is_unset = user is not None and user.role is Role.OWNER and user.password_hash is None and user.disabled_at is None
    return user if is_unset else None


def change_password(
    access: Access, user: User, current: str, password: str, actor: Actor, keep: int | None = None
) -> None:
    """Sets another password; all sessions but ``keep`` end. Raises InvalidInputError, also when ``current`` is wrong."""
    address = f"user {user.id}"
    wait_ms = access.limits.enter(name_key(user.name), address, access.clock())
    if wait_ms:
        sentence = f"Too many failed attempts. Try again in {-(-wait_ms // 1000)} seconds."
        raise InvalidInputError((Fault("current", FaultCode.NOT_ALLOWED, sentence),))
    try:
        is_right = access.passwords.is_right(user.password_hash, current)
    # The check broke off, so the try must not count against anybody.
    except BaseException:
        access.limits.not_tried(name_key(user.name), address)
        raise
    if not is_right:
        raise InvalidInputError((Fault("current", FaultCode.NOT_ALLOWED, "It is not your password."),))
    access.limits.succeeded(name_key(user.name), address)
    faults = password_faults("password", password, user.name)
    if faults:
        raise InvalidInputError(tuple(faults))
    hashed = access.passwords.hash(password)
    now_ms = access.clock()
    with access.ledger.write() as tx:
        now = find_user(tx, user.id)
        if now is None or now.password_hash != user.password_hash:
            raise InvalidInputError((Fault("current", FaultCode.CONFLICT, "It was changed meanwhile: try again."),))
        save_user(tx, replace(now, password_hash=hashed), now_ms)
        delete_sessions_of_user(tx, user.id, keep_id=keep)
        delete_links_of_user(tx, user.id)
        _note(tx, actor, now_ms, now, Action.PASSWORD_SET)


def _welcome(tx: Connection, key: str, now_ms: int) -> Welcome | None:
    link = find_link(tx, key) if 0 < len(key) <= MAX_CREDENTIAL_LENGTH else None
    if link is None or link.used_at is not None or now_ms >= link.expires_at:
        return None
    if link.user_id is None:
        return None if has_owner_with_password(tx) else Welcome(None)
    user = find_user(tx, link.user_id)
    return None if user is None or user.disabled_at is not None else Welcome(user)


def _begin(tx: Connection, user: User, browser: Browser, now_ms: int) -> SignedIn:
    secret = secrets.token_urlsafe(32)
    expires_at = now_ms + SESSION_MS
    insert_session(tx, secret, user.id, now_ms, expires_at, browser.address, browser.useragent)
    actor = Actor(user_id=user.id, name=user.name, role=user.role, via=Via.PANEL)
    after = {"address": browser.address, "useragent": browser.useragent[:400]}
    insert_change(tx, actor, now_ms, noun="users", record_id=str(user.id), action=Action.SIGNED_IN, after=after)
    return SignedIn(secret, user, expires_at)


def _end(tx: Connection, secret: str) -> Session | None:
    session = find_session(tx, secret) if 0 < len(secret) <= MAX_CREDENTIAL_LENGTH else None
    if session is not None:
        delete_session(tx, session.user_id, session.id)
    return session


def _note(tx: Connection, actor: Actor, now_ms: int, user: User, action: Action) -> None:
    insert_change(tx, actor, now_ms, noun="users", record_id=str(user.id), action=action)
