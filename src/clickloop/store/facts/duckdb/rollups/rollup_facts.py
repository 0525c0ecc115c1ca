"""Roll-ups in DuckDB compared with the facts, and made anew, a day at a time."""

from clickloop.clock import DAY_MS
from clickloop.store.facts.duckdb.connections import Reading, Writing
from clickloop.store.facts.duckdb.rollups.rolling_up import count_differences, rebuild_rows


class DuckDbRollupFacts:
    """The roll-ups of an open database."""

    def __init__(self, reading: Reading, writing: Writing) -> None:
        self._reading = reading
        self._writing = writing

    def days(self) -> tuple[int, int] | None:
        """Return the first and last day that has facts; None without any."""
        with self._reading() as reader:
            first, last = reader.execute("SELECT min(fact_at), max(fact_at) FROM facts").fetchone() or (None, None)
        return None if first is None else (int(first) // DAY_MS, int(last) // DAY_MS)

    def differences(self, day: int) -> int:
        """Return the number of keys of a day whose sums differ from the facts."""
        with self._reading() as reader:
            return count_differences(reader, day * DAY_MS, (day + 1) * DAY_MS)

    def rebuild(self, day: int) -> None:
        """Make the roll-ups of a day anew, in one transaction."""
        with self._writing() as written:
            rebuild_rows(written.writer, day * DAY_MS, (day + 1) * DAY_MS)
