"""The states of a postback, and their groups."""

import pytest

from clickloop.postback.state import (
    ENDED_UNDELIVERED,
    FINAL,
    QUEUED,
    SENT_OR_PENDING,
    STORED,
    UNFINISHED,
    PostbackState,
)


@pytest.mark.parametrize("state", PostbackState)
def test_a_postback_waits_or_is_being_sent_or_is_final(state: PostbackState) -> None:
    assert [state.is_queued, state is PostbackState.SENDING, state.is_final].count(True) == 1


def test_stored_states_are_unfinished_or_final() -> None:
    assert set(STORED) == set(UNFINISHED) | set(FINAL) == set(PostbackState) - {PostbackState.PAUSED}
    assert set(QUEUED) - set(STORED) == {PostbackState.PAUSED}


def test_undelivered_states_are_final_and_not_pending() -> None:
    assert set(ENDED_UNDELIVERED) < set(FINAL)
    assert set(ENDED_UNDELIVERED).isdisjoint(SENT_OR_PENDING)
