"""The supervisor's memory of alarms, which survives a restart (``<data>/run/alarm-messages.json``). Panel and API show it."""

from pathlib import Path

import msgspec

from clickloop.alarm.outbox import AlarmDelivery
from clickloop.alarm.tracker import TrackedAlarm
from clickloop.machine.replacing_file import replace_file

FILE_NAME = "run/alarm-messages.json"


class AlarmMemory(msgspec.Struct, frozen=True, kw_only=True):
    """Announced alarms, and messages with their outcome, oldest first."""

    tracked: dict[str, TrackedAlarm] = {}
    deliveries: tuple[AlarmDelivery, ...] = ()
    rule_ids: tuple[int, ...] = ()
    """The known rules; to a new one, all current alarms are announced."""


def read_alarm_memory(folder: Path) -> AlarmMemory:
    """Return the memory; empty if the file is missing or unreadable. Alarms are then announced again, rather than never."""
    try:
        return msgspec.json.decode((folder / FILE_NAME).read_bytes(), type=AlarmMemory)
    except (OSError, msgspec.DecodeError):
        return AlarmMemory()


def write_alarm_memory(folder: Path, memory: AlarmMemory) -> None:
    """Replace the memory. Raise OSError."""
    replace_file(folder / FILE_NAME, msgspec.json.encode(memory), durable=False)
