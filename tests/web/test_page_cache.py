"""The cache of expensive results."""

from clickloop.web.page_cache import MAX_RESULTS, PageCache


def result(remembered: PageCache, depends_on: int, now_ms: int, max_age_ms: int | None = None, key: str = "?") -> str:
    return remembered.of(key, depends_on, lambda: f"of {depends_on} at {now_ms}", now_ms, max_age_ms)[0]


def test_a_result_stays_while_what_it_depends_on_is_the_same() -> None:
    remembered = PageCache()
    assert result(remembered, 1, 10) == "of 1 at 10"
    assert result(remembered, 1, 20) == "of 1 at 10"
    assert result(remembered, 2, 30) == "of 2 at 30"


def test_a_result_is_computed_again_when_it_is_too_old_or_the_clock_was_set_back() -> None:
    remembered = PageCache()
    result(remembered, 1, 100, 5)
    assert result(remembered, 1, 105, 5) == "of 1 at 100"
    assert result(remembered, 1, 106, 5) == "of 1 at 106"
    assert result(remembered, 1, 50, 5) == "of 1 at 50"


def test_the_least_recently_used_result_is_dropped_first() -> None:
    remembered = PageCache()
    for number in range(MAX_RESULTS):
        result(remembered, 1, number, key=f"{number}")
    result(remembered, 1, 1_000, key="0")
    result(remembered, 1, 1_001, key="one more")
    assert result(remembered, 1, 2_000, key="0") == "of 1 at 0"
    assert result(remembered, 1, 2_000, key="1") == "of 1 at 2000"
