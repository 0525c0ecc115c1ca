"""Alarm rules: postback rules of the whole instance whose trigger is an alarm, not a conversion. The supervisor sends them.

It reads them from a copy in the data folder (mode 0600, because it contains bot tokens), so it can report a lost ledger.
"""

from collections.abc import Iterable, Mapping
from pathlib import Path

import msgspec

from clickloop.machine.replacing_file import replace_file
from clickloop.postback.rule import PostbackRule, Trigger

ALARM_MACROS = frozenset({"alarm", "alarm.code", "alarm.state", "alarm.since"})
FILLED_FOR_ALARMS = ALARM_MACROS | {"postback_id", "rule.name", "domain", "now"}
FILE_NAME = "run/alarm-rules.json"


class AlarmRules(msgspec.Struct, frozen=True, kw_only=True):
    """Everything needed to send alarms: the live rules, and what the address guard needs of the set-up."""

    rules: tuple[PostbackRule, ...] = ()
    own_hosts: tuple[str, ...] = ()
    domain: str = ""
    """The tracker's public host, so that a message says which tracker it is about."""


def alarm_rules_among(rules: Iterable[PostbackRule]) -> tuple[PostbackRule, ...]:
    """Return the active alarm rules."""
    return tuple(rule for rule in rules if rule.active and is_alarm_rule(rule))


def is_alarm_rule(rule: PostbackRule) -> bool:
    """Return whether a rule is sent for alarms rather than conversions."""
    return rule.conditions.trigger is Trigger.ALARM


def write_alarm_rules(folder: Path, rules: AlarmRules) -> None:
    """Replace the copy. On OSError the previous one stays."""
    path = folder / FILE_NAME
    encoded = msgspec.json.encode(rules)
    path.parent.mkdir(mode=0o700, exist_ok=True)
    try:
        if path.read_bytes() == encoded:
            return
    # The first write has nothing to compare with.
    except FileNotFoundError:
        pass
    replace_file(path, encoded)


def read_alarm_rules(folder: Path) -> AlarmRules:
    """Return the copy, or no rules if there is none. Raise OSError or msgspec.DecodeError if it cannot be read."""
    try:
        return msgspec.json.decode((folder / FILE_NAME).read_bytes(), type=AlarmRules)
    except FileNotFoundError:
        return AlarmRules()


def alarm_values(
    *, message_id: str, code: str, sentence: str, state: str, since_ms: int, rule_name: str, domain: str
) -> Mapping[str, str]:
    """Return the macro values of an alarm. All other macros are empty."""
    return {
        "alarm": sentence,
        "alarm.code": code,
        "alarm.state": state,
        "alarm.since": str(since_ms // 1000),
        "postback_id": message_id,
        "rule.name": rule_name,
        "domain": domain,
    }
