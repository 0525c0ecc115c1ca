"""What is remembered of costly answers."""

from clickloop.web.page_cache import MAX_ANSWERS, Remembered


def asked(
    remembered: Remembered, follows_from: int, now_ms: int, most_ms: int | None = None, question: str = "?"
) -> str:
    return remembered.of(question, follows_from, lambda: f"of {follows_from} at {now_ms}", now_ms, most_ms)[0]


def test_an_answer_stays_while_what_it_follows_from_is_the_same() -> None:
    remembered = Remembered()
    assert asked(remembered, 1, 10) == "of 1 at 10"
    assert asked(remembered, 1, 20) == "of 1 at 10"
    assert asked(remembered, 2, 30) == "of 2 at 30"


def test_an_answer_is_found_out_again_when_it_is_too_old_or_the_clock_was_set_back() -> None:
    remembered = Remembered()
    asked(remembered, 1, 100, 5)
    assert asked(remembered, 1, 105, 5) == "of 1 at 100"
    assert asked(remembered, 1, 106, 5) == "of 1 at 106"
    assert asked(remembered, 1, 50, 5) == "of 1 at 50"


def test_the_answer_that_was_asked_for_longest_ago_is_forgotten_first() -> None:
    remembered = Remembered()
    for number in range(MAX_ANSWERS):
        asked(remembered, 1, number, question=f"{number}")
    asked(remembered, 1, 1_000, question="0")
    asked(remembered, 1, 1_001, question="one more")
    assert asked(remembered, 1, 2_000, question="0") == "of 1 at 0"
    assert asked(remembered, 1, 2_000, question="1") == "of 1 at 2000"
