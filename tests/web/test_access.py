"""Access to the panel without a browser: passwords, sessions and one-time links."""

from typing import TYPE_CHECKING

import argon2
import pytest

from clickloop.clock import DAY_MS, MINUTE_MS
from clickloop.people.browser import Browser
from clickloop.people.passwords import HASHER, NOBODY, Passwords
from clickloop.people.user import Role
from clickloop.saving.access import (
    IDLE_MS,
    LINK_MS,
    SESSION_MS,
    Access,
    NotSignedIn,
    NotSignedInReason,
    SignedIn,
    accept_invitation,
    change_password,
    csrf_token,
    delete_ended_sessions,
    find_active_session,
    find_invitation,
    make_link,
    sign_in,
    sign_out,
    sign_out_everywhere,
)
from clickloop.setup.fault import InvalidInputError
from clickloop.store.ledger.people.users import find_user
from tests.web.conftest import PASSWORD, QUICK_PASSWORDS

if TYPE_CHECKING:
    from tests.web.conftest import Instance

HOME = Browser(address="192.0.2.1", useragent="Firefox")
CAFE = Browser(address="198.51.100.9", useragent="Chrome")


def signed_in(
    access: Access, name: str, password: str = PASSWORD, browser: Browser = HOME, former: str = ""
) -> SignedIn:
    result = sign_in(access, name, password, browser, former)
    assert isinstance(result, SignedIn), result
    return result


def test_the_right_password_starts_a_session_with_the_name_in_any_case(instance: "Instance") -> None:
    anna = instance.user(Role.WORKER, "Anna")
    active_session = find_active_session(instance.context.access, signed_in(instance.context.access, "aNNA").secret)
    assert active_session is not None
    assert (active_session.user, active_session.actor.name, active_session.actor.role) == (anna, "Anna", Role.WORKER)
    assert (active_session.session.address, active_session.session.useragent) == ("192.0.2.1", "Firefox")


@pytest.mark.parametrize("name", ["anna", "nobody", "ben", "", "\0", "x" * 5000, "\ud800"])
def test_every_failed_sign_in_gets_the_same_answer(instance: "Instance", name: str) -> None:
    instance.user(Role.OWNER, "anna")
    instance.user(Role.WORKER, "ben", "another password")
    assert sign_in(instance.context.access, name, "wrong password", HOME) == NotSignedIn(NotSignedInReason.WRONG)


def test_checking_an_unknown_name_costs_as_much_as_a_known_one() -> None:
    assert argon2.extract_parameters(NOBODY) == argon2.extract_parameters(HASHER.hash("x"))


def test_a_disabled_user_is_signed_out_at_once_and_gets_the_usual_answer(instance: "Instance") -> None:
    instance.user(Role.OWNER)
    anna = instance.user(Role.WORKER, "anna")
    secret = signed_in(instance.context.access, "anna").secret
    instance.api.patch(f"/api/v1/users/{anna.id}", json={"disabled": True})
    assert find_active_session(instance.context.access, secret) is None
    assert sign_in(instance.context.access, "anna", PASSWORD, HOME) == NotSignedIn(NotSignedInReason.WRONG)


def test_a_session_ends_after_30_days_or_7_idle_days(instance: "Instance") -> None:
    instance.user(Role.OWNER, "anna")
    access = instance.context.access
    used, idle = signed_in(access, "anna").secret, signed_in(access, "anna").secret
    begun = instance.now
    while instance.now + 6 * DAY_MS < begun + SESSION_MS:
        instance.now += 6 * DAY_MS
        assert find_active_session(access, used) is not None
    instance.now = begun + SESSION_MS - 1
    assert find_active_session(access, used) is not None
    instance.now = begun + SESSION_MS
    assert find_active_session(access, used) is None
    instance.now = begun + IDLE_MS
    assert find_active_session(access, idle) is not None
    instance.now += IDLE_MS + 1
    assert find_active_session(access, idle) is None
    delete_ended_sessions(access)
    instance.now = begun
    assert find_active_session(access, idle) is None


def test_each_sign_in_has_a_new_secret_and_ends_the_previous_session(instance: "Instance") -> None:
    instance.user(Role.OWNER, "anna")
    access = instance.context.access
    first = signed_in(access, "anna").secret
    second = signed_in(access, "anna", former=first).secret
    assert first != second
    assert find_active_session(access, first) is None
    assert find_active_session(access, second) is not None
    third = signed_in(access, "anna", former="planted by somebody else").secret
    assert find_active_session(access, "planted by somebody else") is None
    assert csrf_token(second) != csrf_token(third)


def test_a_session_is_invalid_after_signing_out(instance: "Instance") -> None:
    instance.user(Role.OWNER, "anna")
    access = instance.context.access
    secret, other = signed_in(access, "anna").secret, signed_in(access, "anna").secret
    sign_out(access, secret)
    sign_out(access, secret)
    assert find_active_session(access, secret) is None
    assert find_active_session(access, other) is not None


def test_signing_out_everywhere_keeps_the_current_session(instance: "Instance") -> None:
    instance.user(Role.OWNER, "anna")
    access = instance.context.access
    here, there = signed_in(access, "anna").secret, signed_in(access, "anna", browser=CAFE).secret
    active_session = find_active_session(access, here)
    assert active_session is not None
    assert sign_out_everywhere(access, active_session) == 1
    assert find_active_session(access, here) is not None
    assert find_active_session(access, there) is None


@pytest.mark.parametrize("secret", ["", "x", "x" * 5000, "\ud800", "\0"])
def test_a_malformed_secret_has_no_session(instance: "Instance", secret: str) -> None:
    assert find_active_session(instance.context.access, secret) is None
    sign_out(instance.context.access, secret)


def test_guessing_is_slowed_down_and_the_owner_gets_in_from_elsewhere(instance: "Instance") -> None:
    instance.user(Role.OWNER, "anna")
    access = instance.context.access
    results = [sign_in(access, "anna", f"guess {number}", CAFE) for number in range(50)]
    refused = [result for result in results if isinstance(result, NotSignedIn)]
    assert [result.reason for result in refused].count(NotSignedInReason.WRONG) == 5
    blocked = sign_in(access, "anna", PASSWORD, CAFE)
    assert isinstance(blocked, NotSignedIn)
    assert blocked.wait_seconds >= 1
    assert isinstance(sign_in(access, "anna", PASSWORD, HOME), SignedIn)
    instance.now += blocked.wait_seconds * 1000
    assert isinstance(sign_in(access, "anna", PASSWORD, CAFE), SignedIn)


def test_a_hash_with_old_parameters_is_renewed_at_sign_in(instance: "Instance") -> None:
    anna = instance.user(Role.OWNER, "anna")
    stronger = Passwords(argon2.PasswordHasher(time_cost=2, memory_cost=16, parallelism=1))
    access = Access(ledger=instance.ledger, clock=lambda: instance.now, passwords=stronger)
    assert isinstance(sign_in(access, "anna", PASSWORD, HOME), SignedIn)
    with instance.ledger.read() as tx:
        now = find_user(tx, anna.id)
    assert now is not None
    assert now.password_hash != anna.password_hash
    assert now.password_hash is not None
    assert not stronger.is_outdated(now.password_hash)
    assert isinstance(sign_in(access, "anna", PASSWORD, HOME), SignedIn)


def test_the_first_owner_chooses_a_name_by_the_link(instance: "Instance") -> None:
    access = instance.context.access
    with instance.ledger.write() as tx:
        key = make_link(tx, None, instance.now)
    welcome = find_invitation(access, key)
    assert welcome is not None
    assert welcome.user is None
    entered = accept_invitation(access, key, "Anna", PASSWORD, HOME)
    assert entered is not None
    assert (entered.user.name, entered.user.role) == ("Anna", Role.OWNER)
    assert find_active_session(access, entered.secret) is not None
    assert accept_invitation(access, key, "Eve", PASSWORD, HOME) is None


def test_the_first_owners_link_is_invalid_once_there_is_an_owner(instance: "Instance") -> None:
    with instance.ledger.write() as tx:
        key = make_link(tx, None, instance.now)
    instance.user(Role.OWNER)
    assert find_invitation(instance.context.access, key) is None
    assert accept_invitation(instance.context.access, key, "Eve", PASSWORD, HOME) is None


def test_a_link_expires_after_a_day_or_with_the_next_one(instance: "Instance") -> None:
    access = instance.context.access
    anna = instance.user(Role.WORKER, "anna")
    with instance.ledger.write() as tx:
        first, second = make_link(tx, anna.id, instance.now), make_link(tx, anna.id, instance.now)
    assert find_invitation(access, first) is None
    instance.now += LINK_MS - 1
    assert find_invitation(access, second) is not None
    instance.now += 1
    assert find_invitation(access, second) is None
    assert [find_invitation(access, odd) for odd in ("", "x", "x" * 5000, "\0")] == [None] * 4


def test_a_link_for_a_forgotten_password_ends_earlier_sessions(instance: "Instance") -> None:
    access = instance.context.access
    anna = instance.user(Role.WORKER, "anna")
    stolen = signed_in(access, "anna").secret
    with instance.ledger.write() as tx:
        key = make_link(tx, anna.id, instance.now)
    entered = accept_invitation(access, key, "name that does not count", "another long password", HOME)
    assert entered is not None
    assert entered.user.name == "anna"
    assert find_active_session(access, stolen) is None
    assert sign_in(access, "anna", PASSWORD, HOME) == NotSignedIn(NotSignedInReason.WRONG)
    signed_in(access, "anna", "another long password")


@pytest.mark.parametrize(
    ("password", "code"),
    [("short", "too_short"), ("x" * 1001, "too_long"), ("Margarethe", "not_allowed"), ("aaaaaaaaaaaa", "not_allowed")],
)
def test_a_weak_password_is_rejected_and_the_link_stays_valid(instance: "Instance", password: str, code: str) -> None:
    access = instance.context.access
    with instance.ledger.write() as tx:
        key = make_link(tx, None, instance.now)
    with pytest.raises(InvalidInputError) as refused:
        accept_invitation(access, key, "margarethe", password, HOME)
    assert [(fault.field, fault.code) for fault in refused.value.faults] == [("password", code)]
    assert find_invitation(access, key) is not None


def test_changing_the_password_requires_the_old_one_and_ends_other_sessions(instance: "Instance") -> None:
    access = instance.context.access
    anna = instance.user(Role.WORKER, "anna")
    here, there = signed_in(access, "anna").secret, signed_in(access, "anna").secret
    active_session = find_active_session(access, here)
    assert active_session is not None
    with pytest.raises(InvalidInputError):
        change_password(access, anna, "wrong", "another long password", active_session.actor)
    change_password(
        access, anna, PASSWORD, "another long password", active_session.actor, keep=active_session.session.id
    )
    assert find_active_session(access, here) is not None
    assert find_active_session(access, there) is None
    signed_in(access, "anna", "another long password")


def test_guessing_the_old_password_in_a_stolen_session_is_slowed_down(instance: "Instance") -> None:
    access = instance.context.access
    anna = instance.user(Role.WORKER, "anna")
    active_session = find_active_session(access, signed_in(access, "anna").secret)
    assert active_session is not None
    sentences = []
    for number in range(20):
        with pytest.raises(InvalidInputError) as refused:
            change_password(access, anna, f"guess {number}", "another long password", active_session.actor)
        sentences.append(refused.value.faults[0].message)
    assert sentences.count("This is not your current password.") == 5


def test_the_use_of_a_session_is_written_at_most_once_a_minute(instance: "Instance") -> None:
    instance.user(Role.OWNER, "anna")
    access = instance.context.access
    secret = signed_in(access, "anna").secret
    seen = []
    for _ in range(4):
        active_session = find_active_session(access, secret)
        assert active_session is not None
        seen.append(active_session.session.last_seen_at - instance.now)
        instance.now += MINUTE_MS // 2
    assert seen == [0, -MINUTE_MS // 2, -MINUTE_MS, -MINUTE_MS // 2]


def test_passwords_with_any_characters_are_distinguished() -> None:
    words = ["ä" * 10, "a\u0308" * 10, "\0" * 10, "\ud800" * 10, " " * 10]
    kept = [QUICK_PASSWORDS.hash(word) for word in words]
    for at, word in enumerate(words):
        assert [QUICK_PASSWORDS.verify(one, word) for one in kept] == [at == other for other in range(len(words))]
