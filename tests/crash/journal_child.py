"""A journal writer that says of each record what it knows, to be killed at any call."""

import asyncio
import os
import sys
from pathlib import Path

from clickloop.store.journal.group_commit import GroupCommit
from clickloop.store.journal.writer import JournalBroken, JournalFull, JournalWriter

BROKEN = 3


def say(text: str) -> None:
    """One write to the pipe: what was said before the death is heard."""
    os.write(1, text.encode() + b"\n")


def write_a_few(root: Path) -> None:
    """Nine records in three segments; every other one synced."""
    writer = JournalWriter.open(root, "clicks", "edge-0")
    for number in range(9):
        try:
            writer.append(b'{"n":%d}' % number)
            say(f"appended {number}")
        except JournalFull:
            say(f"full {number}")
        if number % 2:
            writer.sync()
            say(f"durable {number}")
        if number % 3 == 2:
            try:
                writer.close_segment()
            except JournalFull:
                say("full trailer")
    writer.close()


async def write_for_ever(root: Path) -> None:
    """As an edge does: records as fast as they come, in groups made durable, segments closed every few milliseconds."""
    writer = JournalWriter.open(root, "clicks", "edge-0")
    commit = GroupCommit(writer)
    number = 0
    while True:
        group = []
        for _ in range(20):
            group.append(writer.append(b'{"n":"%d-%d"}' % (os.getpid(), number)))
            number += 1
        say(f"appended {os.getpid()} {number}")
        await asyncio.gather(*map(commit.durable, group))
        say(f"durable {os.getpid()} {number}")
        if number % 60 == 0:
            writer.close_segment()


def main() -> None:
    """Arguments: folder of the journal, and ``few`` or ``ever``."""
    root = Path(sys.argv[1])
    try:
        if sys.argv[2] == "few":
            write_a_few(root)
        else:
            asyncio.run(write_for_ever(root))
    except JournalBroken as error:
        say("broken")
        sys.stderr.write(str(error))
        sys.exit(BROKEN)


if __name__ == "__main__":
    main()
