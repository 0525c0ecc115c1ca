"""The alarm monitor survives errors in everything that it reads, and forgets nothing over a restart."""

import os
from pathlib import Path

from clickloop.alarm.alarms import Alarms
from clickloop.alarm.memory import read_alarm_memory
from clickloop.alarm.monitor import AlarmMonitor
from clickloop.config import Settings
from clickloop.postback.alarm_rules import FILE_NAME, AlarmRules, read_alarm_rules, write_alarm_rules
from clickloop.postback.rule import Conditions, PostbackRule, RequestTemplate, Trigger

RULE = PostbackRule(
    rule_id=1,
    name="Ops",
    request=RequestTemplate(url="https://ops.example/?text={alarm}"),
    conditions=Conditions(trigger=Trigger.ALARM),
)


def monitor(folder: Path) -> AlarmMonitor:
    return AlarmMonitor(Settings(data=str(folder), alarm_after_seconds=2), [])


def looks(watching: AlarmMonitor, codes: set[str]) -> None:
    """Let it look until these alarms are tracked."""
    while not codes <= {one.code for one in watching._tracker.tracked.values() if one.announced_at}:
        watching._look()


def test_a_copy_of_the_rules_that_cannot_be_read_leaves_the_last_one_in_force(tmp_path: Path) -> None:
    write_alarm_rules(tmp_path, AlarmRules(rules=(RULE,)))
    Alarms(tmp_path).report("audit", ["rows do not add up"])
    watching = monitor(tmp_path)
    watching._look()
    (tmp_path / FILE_NAME).write_bytes(b"{")
    looks(watching, {"audit"})
    delivery = next(one for one in watching._outbox.deliveries if one.message.code == "audit")
    assert (delivery.rule_id, delivery.message.sentence) == (1, "rows do not add up")


def test_a_file_of_alarms_that_cannot_be_read_is_an_alarm_and_stops_no_other(tmp_path: Path) -> None:
    Alarms(tmp_path).report("audit", ["rows do not add up"])
    (tmp_path / "run" / "alarms.edge1.json").write_bytes(b"\xff")
    looks(monitor(tmp_path), {"audit", "alarms_unreadable"})


def test_a_rule_that_is_made_while_an_alarm_stands_is_told_of_it_once(tmp_path: Path) -> None:
    Alarms(tmp_path).report("audit", ["rows do not add up"])
    watching = monitor(tmp_path)
    looks(watching, {"audit"})
    write_alarm_rules(tmp_path, AlarmRules(rules=(RULE,)))
    for _ in range(3):
        watching._look()
    told = [one.message.state.value for one in watching._outbox.deliveries if one.message.code == "audit"]
    assert told == ["begun", "standing"]
    watching._remember()
    again = monitor(tmp_path)
    for _ in range(3):
        again._look()
    assert [one.message.state.value for one in again._outbox.deliveries if one.message.code == "audit"] == told
    assert read_alarm_memory(tmp_path).rule_ids == (1,)


def test_the_copy_of_the_rules_is_for_its_owner_alone_and_written_only_when_it_changes(tmp_path: Path) -> None:
    rules = AlarmRules(rules=(RULE,), own_hosts=("go.example",), domain="go.example")
    write_alarm_rules(tmp_path, rules)
    path = tmp_path / FILE_NAME
    assert path.stat().st_mode & 0o777 == 0o600
    os.utime(path, ns=(1, 1))
    write_alarm_rules(tmp_path, rules)
    assert path.stat().st_mtime_ns == 1
    assert read_alarm_rules(tmp_path) == rules
    write_alarm_rules(tmp_path, AlarmRules())
    assert read_alarm_rules(tmp_path).rules == ()
