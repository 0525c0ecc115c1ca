"""Answers of the panel that cost much to find out and stay true while what they follow from is the same."""

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import TypeVar, cast

MAX_ANSWERS = 64
"""Maximum number of remembered answers; the least recently used one goes first."""

T = TypeVar("T")


class Remembered:
    """The last answer to each question, with what it followed from. From any thread; two may find out the same at once."""

    def __init__(self) -> None:
        self._answers: OrderedDict[Hashable, tuple[Hashable, int, object]] = OrderedDict()
        # For the order of use alone; never held while an answer is computed, which takes seconds.
        self._lock = threading.Lock()

    def of(
        self,
        question: Hashable,
        follows_from: Hashable,
        find_out: Callable[[], T],
        now_ms: int,
        most_ms: int | None = None,
    ) -> tuple[T, int]:
        """The answer and the moment at which it was found out: now, unless it is remembered, follows from the same, and is at most
        ``most_ms`` old."""
        with self._lock:
            known = self._answers.get(question)
            if known is not None:
                self._answers.move_to_end(question)
        if known is not None and known[0] == follows_from and (most_ms is None or abs(now_ms - known[1]) <= most_ms):
            return cast("T", known[2]), known[1]
        answer = find_out()
        with self._lock:
            self._answers[question] = (follows_from, now_ms, answer)
            while len(self._answers) > MAX_ANSWERS:
                self._answers.popitem(last=False)
        return answer, now_ms
