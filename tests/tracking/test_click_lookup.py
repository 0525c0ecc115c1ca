"""An edge asks the core for a click: what it gets, how long it waits, and what happens without a core."""

import asyncio
import contextlib
import socket
import time
from collections.abc import AsyncIterator, Collection, Mapping
from pathlib import Path

import pytest

from clickloop.click.click import Click
from clickloop.click_id import ClickId
from clickloop.store.facts.facts import FactsError
from clickloop.tracking.click_lookup import LOOKUP_SECONDS, MAX_LOOKUPS, SOCKET_NAME, CoreLookup, CoreLookupServer

NOW = 1_800_000_000_000
YOUNG, OLD = ClickId("01young0000000000000000000", NOW - 100), ClickId("01older0000000000000000000", NOW - 86_400_000)


class Facts:
    """Facts in memory. ``loading``: set to a number of look-ups after which a click is there."""

    def __init__(self, *clicks: Click, after: int = 0) -> None:
        self.clicks = {click.click_id: click for click in clicks}
        self.after = after
        self.queries: list[frozenset[str]] = []
        self.is_damaged = False

    def find_clicks(self, click_ids: Collection[str]) -> Mapping[str, Click]:
        self.queries.append(frozenset(click_ids))
        if self.is_damaged:
            raise FactsError("a block is damaged")
        if len(self.queries) <= self.after:
            return {}
        return {click_id: self.clicks[click_id] for click_id in click_ids if click_id in self.clicks}


def _click(click_id: ClickId) -> Click:
    return Click(click_id=click_id.text, at=click_id.at, campaign_id=7, source_id=3, path_id=12, draw=2**63 - 1, v1="é")


@contextlib.asynccontextmanager
async def serving(folder: Path, facts: Facts) -> AsyncIterator[CoreLookup]:
    """The edge's side of a core that is running."""
    serving = asyncio.create_task(CoreLookupServer(folder, facts.find_clicks).serve())
    while not (folder / "run" / SOCKET_NAME).exists():  # noqa: ASYNC110 – the next iteration of the loop
        await asyncio.sleep(0)
    try:
        yield CoreLookup(folder, lambda: NOW)
    finally:
        serving.cancel()
        await asyncio.gather(serving, return_exceptions=True)


def test_the_core_answers_with_the_whole_click(tmp_path: Path) -> None:
    async def look_up() -> Click | None:
        async with serving(tmp_path, Facts(_click(YOUNG))) as lookup:
            return await lookup.find(YOUNG)

    assert asyncio.run(look_up()) == _click(YOUNG)


def test_a_young_click_is_waited_for_until_it_is_settled(tmp_path: Path) -> None:
    async def look_up() -> Click | None:
        async with serving(tmp_path, Facts(_click(YOUNG), after=3)) as lookup:
            return await lookup.find(YOUNG)

    assert asyncio.run(look_up()) == _click(YOUNG)


def test_an_old_click_that_is_unknown_is_not_waited_for(tmp_path: Path) -> None:
    facts = Facts()

    async def look_up() -> Click | None:
        async with serving(tmp_path, facts) as lookup:
            return await lookup.find(OLD)

    assert asyncio.run(look_up()) is None
    assert len(facts.queries) == 1


@pytest.mark.parametrize("was_running", [True, False])
def test_without_a_core_there_is_an_answer_at_once(tmp_path: Path, was_running: bool) -> None:
    async def look_up() -> float:
        (tmp_path / "run").mkdir()
        if was_running:  # a killed core leaves its socket behind
            left = socket.socket(socket.AF_UNIX)
            left.bind(str(tmp_path / "run" / SOCKET_NAME))
            left.close()
        begun = time.monotonic()
        assert await CoreLookup(tmp_path, lambda: NOW).find(YOUNG) is None
        return time.monotonic() - begun

    assert asyncio.run(look_up()) < LOOKUP_SECONDS / 2


def test_a_core_that_does_not_answer_is_given_up(tmp_path: Path) -> None:
    async def look_up() -> CoreLookup:
        (tmp_path / "run").mkdir()
        silent = socket.socket(socket.AF_UNIX)
        silent.bind(str(tmp_path / "run" / SOCKET_NAME))
        silent.listen()
        lookup = CoreLookup(tmp_path, lambda: NOW)
        assert await lookup.find(YOUNG) is None
        silent.close()
        return lookup

    assert asyncio.run(look_up()).failed == 1


def test_a_core_started_again_takes_the_socket_over_in_a_folder_with_a_long_name(tmp_path: Path) -> None:
    folder = tmp_path / ("f" * 150)
    folder.mkdir()

    async def look_up() -> Click | None:
        for _ in range(2):
            async with serving(folder, Facts(_click(YOUNG))) as lookup:
                found = await lookup.find(YOUNG)
        return found

    assert asyncio.run(look_up()) == _click(YOUNG)


def test_facts_that_cannot_be_read_are_an_unknown_click(tmp_path: Path) -> None:
    facts = Facts(_click(OLD))
    facts.is_damaged = True

    async def look_up() -> Click | None:
        async with serving(tmp_path, facts) as lookup:
            return await lookup.find(OLD)

    assert asyncio.run(look_up()) is None


def test_many_look_ups_at_once_take_few_queries_and_all_are_answered(tmp_path: Path) -> None:
    ids = [ClickId(f"01{number:024}", NOW - 86_400_000) for number in range(MAX_LOOKUPS * 4)]
    facts = Facts(*map(_click, ids))

    async def look_up() -> list[Click | None]:
        async with serving(tmp_path, facts) as lookup:
            return await asyncio.gather(*map(lookup.find, ids))

    assert asyncio.run(look_up()) == [_click(click_id) for click_id in ids]
    assert len(facts.queries) < len(ids) / 2


@pytest.mark.parametrize("line", [b"", b"\n", b"x" * 10_000, b"\xff 1\n", b"01young0000000000000000000 many\n"])
def test_a_line_that_is_no_request_ends_the_connection_and_nothing_else(tmp_path: Path, line: bytes) -> None:
    async def look_up() -> tuple[bytes, Click | None]:
        async with serving(tmp_path, Facts(_click(YOUNG))) as lookup:
            reader, writer = await asyncio.open_unix_connection(str(tmp_path / "run" / SOCKET_NAME))
            writer.write(line)
            writer.write_eof()
            with contextlib.suppress(ConnectionResetError):
                answer = await reader.read()
            writer.close()
            return answer, await lookup.find(YOUNG)

    answer, click = asyncio.run(look_up())
    assert (answer, click) == (b"", _click(YOUNG))
