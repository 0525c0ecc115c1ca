"""Ids that sort by time."""

import threading
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from clickloop.record_id import ALPHABET, EntropyPool, RecordIds

MOMENTS = st.lists(st.integers(min_value=0, max_value=2**48 - 1), min_size=1, max_size=50)


@given(MOMENTS)
def test_ids_ascend_however_the_clock_jumps(moments: list[int]) -> None:
    ticking = iter(moments)
    ids = RecordIds(lambda: next(ticking))
    made = [ids() for _ in moments]
    assert all(earlier < later for earlier, later in pairwise(made))


@given(st.integers(min_value=0, max_value=2**48 - 1))
def test_an_id_is_26_characters_of_the_alphabet(moment: int) -> None:
    made = RecordIds(lambda: moment)()
    assert len(made) == 26
    assert set(made) <= set(ALPHABET)


@given(st.integers(min_value=1, max_value=2**48 - 1))
def test_an_id_of_an_earlier_moment_sorts_before_every_id_of_a_later_one(moment: int) -> None:
    latest = RecordIds(lambda: moment - 1, lambda size: b"\xff" * size)()
    first = RecordIds(lambda: moment, lambda size: b"\0" * size)()
    assert latest < first


def test_threads_get_different_ids() -> None:
    ids = RecordIds(lambda: 1_000)
    made: list[str] = []
    threads = [threading.Thread(target=lambda: made.extend([ids() for _ in range(500)])) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(made)) == 2_000


def test_two_makers_at_the_same_moment_do_not_meet() -> None:
    assert RecordIds(lambda: 1_000)() != RecordIds(lambda: 1_000)()


def test_ids_from_a_pool_of_random_bytes_are_unique_and_ascending() -> None:
    ids = RecordIds(clock=lambda: 1_800_000_000_000, entropy=EntropyPool(64))
    drawn = [ids() for _ in range(1_000)]
    assert drawn == sorted(set(drawn))


def test_a_pool_never_gives_the_same_bytes_twice() -> None:
    pool = EntropyPool(32)
    assert len({pool(10) for _ in range(500)}) == 500
