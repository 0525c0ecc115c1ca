"""What is deleted for its age, and how much of the time that may take."""

from clickloop.tracking.retention import MAX_SHARE, sparing


def test_a_deletion_that_takes_long_waits_until_it_has_taken_its_share_of_the_time() -> None:
    now = 0.0
    done: list[int] = []

    def delete(now_ms: int) -> None:
        nonlocal now
        now += 3.0
        done.append(now_ms)

    seldom = sparing(delete, lambda: now)
    seldom(1)
    seldom(2)
    now = 3.0 / MAX_SHARE - 1
    seldom(3)
    assert done == [1]
    now += 1
    seldom(4)
    assert done == [1, 4]
