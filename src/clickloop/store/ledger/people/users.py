"""Users of panel and API. One statement per function; ``tx`` is an open transaction. The last owner cannot be removed."""

from msgspec.structs import replace
from sqlalchemy import Connection, RowMapping, and_, func, insert, select, update

from clickloop.people.user import Role, User, name_faults, name_key
from clickloop.setup.fault import FaultCode, FieldFault, InvalidInputError
from clickloop.store.ledger.schema.tables import users
from clickloop.store.ledger.setup.versions import next_version, update_record


def save_user(tx: Connection, user: User, now_ms: int) -> User:
    """Insert a user (``id`` 0) or update one. Return the user as stored.

    Raise InvalidInputError for a name that is taken or invalid, and if the last active owner would be lost; StaleRecordError if
    the user was changed since they were read.
    """
    faults = name_faults(user.name)
    holder = find_user_named(tx, user.name)
    if holder is not None and holder.id != user.id:
        faults.append(
            FieldFault("name", FaultCode.TAKEN, f"User {holder.id} already has this name. Choose another one.")
        )
    if faults:
        raise InvalidInputError(tuple(faults))
    if user.id:
        _keep_an_owner(tx, user)
        user = replace(user, updated_at=now_ms)
        return replace(user, version=update_record(tx, users, user.id, user.version, now_ms, _row(user)))
    user = replace(user, created_at=now_ms, updated_at=now_ms, version=next_version(0, now_ms))
    result = tx.execute(insert(users).values(**_row(user), version=user.version).returning(users.c.id))
    return replace(user, id=int(result.scalar_one()))


def find_user(tx: Connection, user_id: int) -> User | None:
    """Return the user with that number, disabled or not."""
    row = tx.execute(select(users).where(users.c.id == user_id)).mappings().one_or_none()
    return None if row is None else _user(row)


def find_user_named(tx: Connection, name: str) -> User | None:
    """Return the user with that name, ignoring case, disabled or not."""
    row = tx.execute(select(users).where(users.c.name_key == name_key(name)[:200])).mappings().one_or_none()
    return None if row is None else _user(row)


def users_after(tx: Connection, after_id: int, limit: int) -> list[User]:
    """Return at most ``limit`` users with numbers above ``after_id``, ascending, including disabled ones."""
    rows = tx.execute(select(users).where(users.c.id > after_id).order_by(users.c.id).limit(limit)).mappings()
    return [_user(row) for row in rows]


def active_owners(tx: Connection) -> list[User]:
    """Return the owners who are not disabled, in order of their numbers."""
    query = select(users).where(and_(users.c.role == Role.OWNER, users.c.disabled_at.is_(None))).order_by(users.c.id)
    return [_user(row) for row in tx.execute(query).mappings()]


def has_owner_with_password(tx: Connection) -> bool:
    """Return whether an owner can sign in. Then no link creates the first owner any more."""
    usable = and_(users.c.role == Role.OWNER, users.c.disabled_at.is_(None), users.c.password_hash.is_not(None))
    return bool(tx.scalar(select(func.count()).select_from(users).where(usable)))


def note_rehash(tx: Connection, user_id: int, before: str, after: str) -> None:
    """Replace a password hash by one of the same password with current parameters, unless it was changed in the meantime."""
    is_same = and_(users.c.id == user_id, users.c.password_hash == before)
    tx.execute(update(users).where(is_same).values(password_hash=after))


def _keep_an_owner(tx: Connection, user: User) -> None:
    if user.role is Role.OWNER and user.disabled_at is None:
        return
    owners = active_owners(tx)
    if [owner.id for owner in owners] == [user.id]:
        field = "disabled" if user.disabled_at is not None else "role"
        sentence = "This is the last active owner. Make another user an owner first."
        raise InvalidInputError((FieldFault(field, FaultCode.IN_USE, sentence),))


def _row(user: User) -> dict[str, object]:
    return {
        "name": user.name,
        "name_key": name_key(user.name),
        "role": user.role,
        "password_hash": user.password_hash,
        "time_zone": user.time_zone,
        "home_view_id": user.home_view_id,
        "created_at": user.created_at,
        "updated_at": user.updated_at,
        "disabled_at": user.disabled_at,
    }


def _user(row: RowMapping) -> User:
    return User(
        id=row["id"],
        name=row["name"],
        role=Role(row["role"]),
        password_hash=row["password_hash"],
        time_zone=row["time_zone"],
        home_view_id=row["home_view_id"],
        created_at=row["created_at"],
        updated_at=row["updated_at"],
        disabled_at=row["disabled_at"],
        version=row["version"],
    )
