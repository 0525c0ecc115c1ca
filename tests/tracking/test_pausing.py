"""Pausing settling: steps wait, and a pause ends when it is ended, when it is not renewed, and when the core stops."""

import threading

import pytest

from clickloop.tracking.pausing import PauseError, SettlingPauses


class Steps:
    """A worker's step that counts its calls."""

    def __init__(self, pauses: SettlingPauses) -> None:
        self.done = 0
        self._gated = pauses.gate(self._step)

    def _step(self) -> bool:
        self.done += 1
        return True

    def run(self) -> threading.Thread:
        """Run one step in a thread."""
        thread = threading.Thread(target=self._gated, daemon=True)
        thread.start()
        return thread


def test_no_step_runs_during_a_pause_and_all_resume_after_it() -> None:
    pauses = SettlingPauses()
    clicks, notices = Steps(pauses), Steps(pauses)
    pause_id = pauses.begin()
    threads = [clicks.run(), notices.run()]
    assert all(thread.is_alive() for thread in threads)
    assert (clicks.done, notices.done) == (0, 0)
    assert pauses.end(pause_id)
    for thread in threads:
        thread.join(10)
    assert (clicks.done, notices.done) == (1, 1)


def test_a_pause_begins_when_the_step_under_way_has_ended() -> None:
    pauses = SettlingPauses()
    entered, leave, order = threading.Event(), threading.Event(), []

    def step() -> bool:
        entered.set()
        assert leave.wait(10)
        order.append("step")
        return False

    working = threading.Thread(target=pauses.gate(step))
    working.start()
    assert entered.wait(10)
    beginning = threading.Thread(target=lambda: order.append(pauses.begin()))
    beginning.start()
    leave.set()
    working.join(10)
    beginning.join(10)
    assert order[0] == "step"


def test_a_step_that_does_not_end_makes_the_pause_fail_and_the_others_resume() -> None:
    pauses = SettlingPauses(begin_seconds=0.05)
    entered, leave = threading.Event(), threading.Event()
    other = Steps(pauses)

    def step() -> bool:
        entered.set()
        return leave.wait(10)

    working = threading.Thread(target=pauses.gate(step))
    working.start()
    assert entered.wait(10)
    with pytest.raises(PauseError, match="could not be paused"):
        pauses.begin()
    other.run().join(10)
    assert other.done == 1
    leave.set()
    working.join(10)
    assert pauses.end(pauses.begin())


def test_one_pause_at_a_time() -> None:
    pauses = SettlingPauses()
    pauses.begin()
    with pytest.raises(PauseError, match="Another backup"):
        pauses.begin()


def test_a_pause_that_is_not_renewed_ends_by_itself_and_end_reports_it() -> None:
    pauses = SettlingPauses(lease_seconds=0.05)
    steps = Steps(pauses)
    pause_id = pauses.begin()
    steps.run().join(10)
    assert steps.done == 1
    assert not pauses.renew(pause_id)
    assert not pauses.end(pause_id)


def test_a_renewed_pause_lasts() -> None:
    now, looks = 0.0, threading.Semaphore(0)

    def monotonic() -> float:
        if threading.current_thread().name == "pause of settling":
            looks.release()
        return now

    pauses = SettlingPauses(lease_seconds=0.01, monotonic=monotonic)
    steps = Steps(pauses)
    pause_id = pauses.begin()
    steps.run()
    for _ in range(10):
        now += 0.009
        assert pauses.renew(pause_id)
        while looks.acquire(blocking=False):
            pass
        for _ in range(4):  # the thread that ends the pause looks twice in each round
            assert looks.acquire(timeout=60)
    assert steps.done == 0
    assert pauses.end(pause_id)


def test_a_pause_ends_once_and_only_by_its_own_id() -> None:
    pauses = SettlingPauses()
    pause_id = pauses.begin()
    assert not pauses.end("another")
    assert not pauses.renew("another")
    assert pauses.end(pause_id)
    assert not pauses.end(pause_id)


def test_a_stopping_core_ends_the_pause_and_refuses_new_ones() -> None:
    pauses = SettlingPauses()
    steps = Steps(pauses)
    pause_id = pauses.begin()
    pauses.close()
    steps.run().join(10)
    assert steps.done == 1
    assert not pauses.end(pause_id)
    with pytest.raises(PauseError, match="stopping"):
        pauses.begin()


def test_facts_that_cannot_be_brought_into_their_file_end_the_pause() -> None:
    def fail() -> None:
        raise OSError("the disk is full")

    pauses = SettlingPauses(fail)
    steps = Steps(pauses)
    with pytest.raises(OSError, match="full"):
        pauses.begin()
    steps.run().join(10)
    assert steps.done == 1
