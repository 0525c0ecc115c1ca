"""Click ids: unique, sorted, and refused if forged or mistyped."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clickloop.click_id import ClickId, ClickIdFault, ClickIds
from clickloop.record_id import ALPHABET

KEY = b"k" * 32
NOW = 1_800_000_000_000
LOOK_ALIKES = {"1": "iIlL", "0": "oO"}
MOMENTS = st.lists(st.integers(min_value=0, max_value=2**48 - 1), min_size=1, max_size=50)
A_CLICK_ID = ClickIds(KEY).new(NOW)


@given(MOMENTS)
def test_ids_are_unique_and_sorted_however_the_clock_jumps(moments: list[int]) -> None:
    ids = ClickIds(KEY)
    made = [ids.new(moment) for moment in moments]
    assert all(earlier < later for earlier, later in pairwise(made))


@given(st.integers(min_value=0, max_value=2**48 - 1))
def test_an_id_tells_its_moment(moment: int) -> None:
    text = ClickIds(KEY).new(moment)
    assert ClickIds(KEY).read(text) == ClickId(text, moment)


def test_a_thousand_ids_of_one_millisecond_are_different() -> None:
    ids = ClickIds(KEY)
    assert len({ids.new(NOW) for _ in range(1_000)}) == 1_000


@given(st.integers(min_value=0, max_value=25), st.characters())
def test_a_changed_character_is_recognised_unless_it_reads_the_same(place: int, character: str) -> None:
    right = A_CLICK_ID[place]
    changed = A_CLICK_ID[:place] + character + A_CLICK_ID[place + 1 :]
    reads_the_same = character in right + right.upper() + LOOK_ALIKES.get(right, "")
    assert isinstance(ClickIds(KEY).read(changed), ClickIdFault) is not reads_the_same


@pytest.mark.parametrize("place", range(26))
def test_every_other_letter_in_any_place_is_forged_or_malformed(place: int) -> None:
    ids = ClickIds(KEY)
    others = [letter for letter in ALPHABET if letter != A_CLICK_ID[place]]
    found = {ids.read(A_CLICK_ID[:place] + letter + A_CLICK_ID[place + 1 :]) for letter in others}
    assert found <= {ClickIdFault.FORGED, ClickIdFault.MALFORMED}


@given(st.data())
def test_case_and_look_alikes_read_as_the_canonical_id(data: st.DataObject) -> None:
    def as_written(letter: str) -> str:
        return data.draw(st.sampled_from(letter + letter.upper() + LOOK_ALIKES.get(letter, "")))

    written = "".join(as_written(letter) for letter in A_CLICK_ID)
    assert ClickIds(KEY).read(f" {written}\r\n") == ClickId(A_CLICK_ID, NOW)


@given(st.text())
def test_reading_never_raises(text: str) -> None:
    assert isinstance(ClickIds(KEY).read(text), ClickIdFault)


@pytest.mark.parametrize("text", ["", "0" * 25, "0" * 27, "u" * 26, "z" * 26, "8" + "0" * 25, "ä" * 26, "{clickid}"])
def test_what_has_not_the_form_of_an_id_is_malformed(text: str) -> None:
    assert ClickIds(KEY).read(text) is ClickIdFault.MALFORMED


def test_an_id_of_another_key_is_forged() -> None:
    assert ClickIds(b"x" * 32).read(A_CLICK_ID) is ClickIdFault.FORGED


@given(st.binary(min_size=13, max_size=13))
def test_a_guessed_id_is_refused(guess: bytes) -> None:
    number = int.from_bytes(guess + b"\0\0\0", "big")
    letters = "".join(ALPHABET[number >> shift & 31] for shift in range(125, -1, -5))
    assert ClickIds(KEY).read(letters) is ClickIdFault.FORGED


def test_a_key_of_another_length_is_refused_with_what_to_do() -> None:
    with pytest.raises(ValueError, match="31 bytes, expected 32: restore the key file"):
        ClickIds(b"k" * 31)
