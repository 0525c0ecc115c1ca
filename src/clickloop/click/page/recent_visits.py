"""The latest visits of an edge process, for browsers that store no cookie."""

from clickloop.click.visitor_cookie import Visit

MAX_RECENT_VISITS = 10_000  # some megabytes
MAX_VALUE_CHARACTERS = 8_000_000  # of all their values: strangers write these, up to 16,000 for each visit


class RecentVisits:
    """Visits by click id, of which the oldest are dropped beyond a maximum. Not thread-safe."""

    def __init__(self, most: int = MAX_RECENT_VISITS, most_characters: int = MAX_VALUE_CHARACTERS) -> None:
        self._most = most
        self._most_characters = most_characters
        self._characters = 0
        self._visits: dict[str, Visit] = {}

    def __len__(self) -> int:
        return len(self._visits)

    def find(self, click_id: str) -> Visit | None:
        """Return the visit of a click; None if it is not among the latest."""
        return self._visits.get(click_id)

    def remember(self, visit: Visit) -> None:
        """Add a visit, or replace the one of the same click."""
        visits = self._visits
        self._drop(visit.click_id)  # so that it moves to the end
        visits[visit.click_id] = visit
        if visit.values:
            self._characters += sum(map(len, visit.values.values()))
        while len(visits) > self._most or (self._characters > self._most_characters and len(visits) > 1):
            self._drop(next(iter(visits)))

    def _drop(self, click_id: str) -> None:
        dropped = self._visits.pop(click_id, None)
        if dropped is not None and dropped.values:
            self._characters -= sum(map(len, dropped.values.values()))
