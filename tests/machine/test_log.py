"""Unexpected errors in the log: shortened, and at most one a minute per kind."""

from typing import Any

from clickloop.machine.log import MAX_TRACE, UnexpectedErrorLog, cut_trace


class Lines:
    """Collects log lines, with a clock that stands still."""

    def __init__(self) -> None:
        self.now = 1_000.0
        self.lines: list[dict[str, Any]] = []
        self.breakages = UnexpectedErrorLog(lambda: self.now, self._write)

    def _write(self, event: str, **facts: Any) -> None:
        self.lines.append({"event": event, **facts})


def _raised(error: Exception, depth: int = 0) -> Exception:
    try:
        _raise(error, depth)
    except Exception as raised:
        return raised
    raise AssertionError


def _raise(error: Exception, depth: int) -> None:
    if depth:
        _raise(error, depth - 1)
    raise error


def test_a_traceback_keeps_its_head_and_its_end_within_some_kilobytes() -> None:
    text = cut_trace(_raised(ValueError("begin " + "x" * 500_000 + " end"), depth=900))
    assert len(text) < MAX_TRACE + 100
    assert text.startswith("Traceback")
    assert text.endswith(" end\n")


def test_a_chain_of_errors_is_cut_as_a_whole() -> None:
    error = _raised(ValueError("first"))
    for _ in range(200):
        following = ValueError("next")
        following.__cause__ = error
        error = _raised(following)
    assert len(cut_trace(error)) < MAX_TRACE + 100


def test_of_a_kind_one_is_logged_a_minute_with_the_number_of_those_left_out() -> None:
    log = Lines()
    for number in range(1000):
        log.breakages("panel broke", _raised(ValueError(f"by value {number}")), path="/panel")
    assert [line["path"] for line in log.lines] == ["/panel"]
    log.now += 60
    log.breakages("panel broke", _raised(ValueError("again")))
    assert log.lines[1]["left_out"] == 999


def test_another_type_place_or_event_is_another_kind() -> None:
    log = Lines()
    log.breakages("panel broke", _raised(ValueError()))
    log.breakages("panel broke", _raised(KeyError()))
    log.breakages("api broke", _raised(ValueError()))
    try:
        int("x")
    except ValueError as error:
        log.breakages("panel broke", error)
    assert len(log.lines) == 4


def test_an_error_that_was_never_raised_is_logged_too() -> None:
    log = Lines()
    log.breakages("panel broke", ValueError("made"))
    assert "made" in log.lines[0]["error"]
