"""The supervisor's memory of alarms over a restart, which panel and API show, too: ``<data>/run/alarm-messages.json``."""

from pathlib import Path

import msgspec

from clickloop.alarm.outbox import AlarmDelivery
from clickloop.alarm.tracker import TrackedAlarm
from clickloop.machine.replacing_file import replace_file

FILE_NAME = "run/alarm-messages.json"


class AlarmMemory(msgspec.Struct, frozen=True, kw_only=True):
    """Alarms that were announced, and messages with their outcome, oldest first."""

    tracked: dict[str, TrackedAlarm] = {}
    deliveries: tuple[AlarmDelivery, ...] = ()
    rule_ids: tuple[int, ...] = ()
    """The rules that are known: to a new one all alarms of now are announced."""


def read_alarm_memory(folder: Path) -> AlarmMemory:
    """Return what was remembered last; nothing where there is no file, or none that can be read: then alarms are announced anew."""
    try:
        return msgspec.json.decode((folder / FILE_NAME).read_bytes(), type=AlarmMemory)
    # Begin anew: an alarm is then sent once more, which is better than none.
    except (OSError, msgspec.DecodeError):
        return AlarmMemory()


def write_alarm_memory(folder: Path, memory: AlarmMemory) -> None:
    """Replace what is remembered. Raise OSError when the disk does."""
    replace_file(folder / FILE_NAME, msgspec.json.encode(memory), durable=False)
