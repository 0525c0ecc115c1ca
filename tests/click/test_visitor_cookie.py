"""The visitor's cookie: what comes back is what was written, and nothing else is believed."""

import base64
import hashlib
import random

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from clickloop.click.visitor_cookie import (
    MAX_BYTES,
    MAX_CAMPAIGNS,
    MAX_VALUE_BYTES,
    MAX_VISITS,
    NOBODY,
    SeenCampaign,
    Visit,
    VisitorCookies,
    VisitorState,
    remember_campaign,
    unique_since,
)
from clickloop.setup.catalog import CatalogCampaign
from clickloop.setup.returning import UniqueBy
from tests.steps import executed_lines

_KEY = bytes(range(32))
_COOKIES = VisitorCookies(_KEY)
_VISIT = Visit("01jx0000000000000000000000", 1_772_712_000, 7, 12, 3, 2**64 - 1, ((1, 4), (2, 9)))
_SEEN = SeenCampaign(7, 0, 1_772_000_000, 1_772_712_000, 3, 12, 3, 4)
_STATE = VisitorState((_VISIT,), (_SEEN,))


def test_what_was_written_is_read() -> None:
    assert _COOKIES.read(_COOKIES.write(_STATE)) == _STATE


def test_a_cookie_of_an_earlier_key_is_read_and_written_anew_under_the_current_one() -> None:
    renewed = VisitorCookies(bytes(32), also=(_KEY,))
    assert renewed.read(_COOKIES.write(_STATE)) == _STATE
    assert _COOKIES.read(renewed.write(_STATE)) == NOBODY


def _signed(payload: bytes) -> str:
    """A cookie that is signed rightly, whatever it holds."""
    tag = hashlib.blake2s(payload, key=_KEY, digest_size=12, person=b"visitor").digest()
    return "1" + base64.b64encode(tag + payload).rstrip(b"=").decode()


@pytest.mark.parametrize(
    "value",
    [
        "",
        "1",
        "1" + "A" * 16,
        _COOKIES.write(_STATE)[:-1],
        _COOKIES.write(_STATE)[:10],
        "2" + _COOKIES.write(_STATE)[1:],
        VisitorCookies(bytes(32)).write(_STATE),
        "1" + "A" * 4095,
        "1" + "é" * 40,
        "1" + "A" * 16 + "=" * 7,
        _signed(b"\xc1"),
        _signed(msgspec.msgpack.encode([[], [["seven", 0, 0, 0, 0]]])),
        _signed(msgspec.msgpack.encode({"visits": []})),
    ],
)
def test_what_is_not_ours_as_it_is_counts_as_no_cookie(value: str) -> None:
    assert _COOKIES.read(value) == NOBODY


def test_every_changed_letter_is_noticed() -> None:
    value = _COOKIES.write(_STATE)
    chance = random.Random(3)
    for place in range(len(value)):
        other = chance.choice([letter for letter in "ABCxyz019-_" if letter != value[place]])
        found = _COOKIES.read(value[:place] + other + value[place + 1 :])
        # The last letter of base64 has bits that mean nothing: the same contents are no forgery.
        assert found in (NOBODY, _STATE)
        assert found == NOBODY or place == len(value) - 1


def test_it_never_grows_beyond_its_bound_and_forgets_the_oldest() -> None:
    state = NOBODY
    for number in range(1, 200):
        state = state.with_campaign(SeenCampaign(2**40 + number, 2**30, 2**33, 2**33, 10**6, 2**40, 2**40, 2**40))
        state = state.with_visit(msgspec.structs.replace(_VISIT, click_id=f"{number:026}"))
        value = _COOKIES.write(state)
        assert len(value) <= MAX_BYTES
        state = _COOKIES.read(value)
        assert state.campaigns[0].campaign_id == 2**40 + number
        assert state.visits[0].click_id == f"{number:026}"
        assert len(state.visits) <= MAX_VISITS


def test_long_values_of_several_visits_do_not_push_out_the_campaigns() -> None:
    values = {"externalid": "x" * MAX_VALUE_BYTES}
    state = NOBODY
    for number in range(MAX_VISITS):
        state = state.with_visit(msgspec.structs.replace(_VISIT, click_id=f"{number:026}", values=values))
        state = state.with_campaign(SeenCampaign(number, 1, 1_772_000_000, 1_772_712_000, 3, 400, 20, 30))
    read = _COOKIES.read(_COOKIES.write(state))
    assert (read.visits[0].values, len(read.campaigns)) == (values, MAX_VISITS)


def test_50_campaigns_of_a_usual_size_are_remembered() -> None:
    state = _STATE
    for number in range(1, 60):
        state = state.with_campaign(SeenCampaign(number, 1, 1_772_000_000, 1_772_712_000, 3, 400 + number, 20, 30))
    assert len(_COOKIES.read(_COOKIES.write(state)).campaigns) == MAX_CAMPAIGNS


def test_a_visit_of_the_same_click_takes_the_place_of_the_earlier_one() -> None:
    pressed = msgspec.structs.replace(_VISIT, pressed=((1, 4),))
    other = msgspec.structs.replace(_VISIT, click_id="01jx0000000000000000000001")
    state = _STATE.with_visit(other).with_visit(pressed)
    assert state.visits == (pressed, other)
    assert state.visit(_VISIT.click_id) == pressed
    assert state.visit("none") is None


@given(st.text(max_size=200))
def test_no_text_breaks_reading(text: str) -> None:
    assert _COOKIES.read(text) == NOBODY


def test_a_text_beyond_the_bound_takes_fewer_steps_than_one_within_it() -> None:
    def steps(size: int) -> int:
        return executed_lines(lambda: _COOKIES.read("1" + "A" * size))

    assert _COOKIES.read("1" + "A" * 262_144) == NOBODY
    assert steps(262_144) == steps(8_192) < steps(100)


_DAY = 86_400
_CAMPAIGN = CatalogCampaign(7, "Camp07", "Seven", 1, "Source", True, "", "", None, "USD", (), flow_id=1)


def _state(*seen: tuple[int, int, int]) -> VisitorState:
    """Return a state with campaigns: number, epoch, and the moment of the latest unique visit."""
    return VisitorState((), tuple(SeenCampaign(number, epoch, at, at, 1) for number, epoch, at in seen))


@pytest.mark.parametrize(
    ("state", "changes", "since"),
    [
        (NOBODY, {}, None),
        (_state((7, 0, 1000)), {}, 1000),
        (_state((7, 0, 1000 - _DAY)), {}, None),
        (_state((7, 0, 1001 - _DAY)), {}, 1001 - _DAY),
        (_state((7, 0, 2000)), {}, 2000),  # another edge's clock is ahead
        (_state((7, 0, 1)), {"unique_within_seconds": 0}, 1),
        (_state((7, 0, 990)), {"unique_within_seconds": 10}, None),
        (_state((8, 0, 1000)), {}, None),
        (_state((8, 0, 900), (9, 0, 950)), {"unique_by": UniqueBy.INSTANCE}, 950),
        (_state((7, 0, 1000)), {"unique_epoch": 1}, None),
        (_state((7, 1, 1000)), {"unique_epoch": 1}, 1000),
        (_state((7, 2, 1000)), {"unique_epoch": 1}, 1000),
        (_state((7, 0, 900), (8, 0, 950)), {"unique_by": UniqueBy.INSTANCE, "unique_epoch": 1}, None),
        (_state((8, 0, 950)), {"unique_by": UniqueBy.INSTANCE, "unique_epoch": 1}, 950),
    ],
)
def test_the_cookie_says_since_when_a_visitor_is_known(
    state: VisitorState, changes: dict[str, object], since: int | None
) -> None:
    assert unique_since(state, msgspec.structs.replace(_CAMPAIGN, **changes), 1000) == since


def test_a_known_visit_counts_and_leaves_the_moment_of_the_unique_one() -> None:
    state = remember_campaign(NOBODY, _CAMPAIGN, 1000, None, "a")
    state = remember_campaign(state, _CAMPAIGN, 1500, unique_since(state, _CAMPAIGN, 1500), "b")
    assert state.campaigns == (SeenCampaign(7, 0, 1000, 1500, 2),)
    reset = msgspec.structs.replace(_CAMPAIGN, unique_epoch=3)
    assert remember_campaign(state, reset, 1600, None, "c").campaigns == (SeenCampaign(7, 3, 1600, 1600, 3),)


def test_visitors_who_see_the_same_campaigns_in_the_same_second_have_different_cookies() -> None:
    one, other = (_COOKIES.write(remember_campaign(NOBODY, _CAMPAIGN, 1000, None, click_id)) for click_id in "ab")
    assert one != other


def test_copies_of_a_cookie_have_the_same_fingerprint_and_other_cookies_another() -> None:
    one, other = _COOKIES.write(_STATE), _COOKIES.write(_state((7, 0, 1000)))
    assert _COOKIES.fingerprint(one) == _COOKIES.fingerprint(str(one)) != _COOKIES.fingerprint(other)
    assert 0 < int(_COOKIES.fingerprint(one), 16) < 2**60


@pytest.mark.parametrize("letter", ["!", "=", "-", " ", "A"])
def test_letters_put_into_a_genuine_cookie_give_no_second_fingerprint(letter: str) -> None:
    genuine = _COOKIES.write(_STATE)
    for place in range(1, len(genuine) + 1):
        for count in (1, 3, 4, 15, 16):
            stuffed = genuine[:place] + letter * count + genuine[place:]
            # Its own padding, put back, is the one addition that base64 allows.
            assert _COOKIES.read(stuffed) is NOBODY or _COOKIES.fingerprint(stuffed) == _COOKIES.fingerprint(genuine)


def test_a_cookie_from_before_campaigns_remembered_visitors_is_read() -> None:
    before = msgspec.msgpack.encode([[], [[7, 0, 1_700_000_000, 1_700_000_100, 2, 0, 0, 0]]])
    seen = msgspec.msgpack.decode(before, type=VisitorState).campaigns[0]
    assert (seen.visits, seen.memory) == (2, None)
