"""Alarm rules: postback rules of the whole instance whose trigger is an alarm, not a conversion. They are sent by the supervisor.

A copy of them is in the data folder (mode 0600: it holds bots' tokens), so that no ledger is needed to send an alarm about it.
"""

from collections.abc import Iterable, Mapping
from pathlib import Path

import msgspec

from clickloop.machine.replacing_file import replace_file
from clickloop.postback.rule import Rule, Trigger

ALARM_MACROS = frozenset({"alarm", "alarm.code", "alarm.state", "alarm.since"})
FILLED_FOR_ALARMS = ALARM_MACROS | {"postback_id", "rule.name", "domain", "now"}
FILE_NAME = "run/alarm-rules.json"


class AlarmRules(msgspec.Struct, frozen=True, kw_only=True):
    """Everything needed to send alarms: the live rules, and what the address guard must know of the set-up."""

    rules: tuple[Rule, ...] = ()
    own_hosts: tuple[str, ...] = ()
    domain: str = ""
    """The host under which the world reaches this tracker, so that a message says which tracker it is about."""


def alarm_rules_among(rules: Iterable[Rule]) -> tuple[Rule, ...]:
    """Return the rules that are switched on and sent for alarms."""
    return tuple(rule for rule in rules if rule.active and is_alarm_rule(rule))


def is_alarm_rule(rule: Rule) -> bool:
    """Return whether a rule is sent for alarms, and so for no conversion."""
    return rule.conditions.trigger is Trigger.ALARM


def write_alarm_rules(folder: Path, rules: AlarmRules) -> None:
    """Replace the copy. Raise OSError when the disk does: then the one before stays."""
    path = folder / FILE_NAME
    encoded = msgspec.json.encode(rules)
    path.parent.mkdir(mode=0o700, exist_ok=True)
    try:
        if path.read_bytes() == encoded:
            return
    # The first time there is none to compare with.
    except FileNotFoundError:
        pass
    replace_file(path, encoded)


def read_alarm_rules(folder: Path) -> AlarmRules:
    """Return the copy; none is an empty one. Raise OSError or msgspec.DecodeError when it cannot be read."""
    try:
        return msgspec.json.decode((folder / FILE_NAME).read_bytes(), type=AlarmRules)
    except FileNotFoundError:
        return AlarmRules()


def alarm_values(
    *, message_id: str, code: str, sentence: str, state: str, since_ms: int, rule_name: str, domain: str
) -> Mapping[str, str]:
    """Return the value of each macro that an alarm has; all others are empty."""
    return {
        "alarm": sentence,
        "alarm.code": code,
        "alarm.state": state,
        "alarm.since": str(since_ms // 1000),
        "postback_id": message_id,
        "rule.name": rule_name,
        "domain": domain,
    }
