"""The alarm monitor: a thread of the supervisor that watches, remembers and sends alarms, whether or not the core works.

It uses no store and no HTTP client: a separate process, ``alarm.sending``, sends what is due and exits.
"""

import os
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Sequence

import msgspec

from clickloop.alarm.alarms import SUPERVISOR, Alarm, Alarms, read_alarms
from clickloop.alarm.children import ChildAlarms, ChildState
from clickloop.alarm.memory import AlarmMemory, read_alarm_memory, write_alarm_memory
from clickloop.alarm.outbox import AlarmAttempt, AlarmDelivery, AlarmOutbox, DeliveryState, SendingJob
from clickloop.alarm.tracker import AlarmTracker
from clickloop.alarm.vital_signs import LOOK_SECONDS, Patience, VitalSigns
from clickloop.clock import SECOND_MS, wall_clock
from clickloop.config import Settings
from clickloop.machine.log import RateLimitedLog, log
from clickloop.machine.process import SUPERVISOR as SUPERVISOR_PID
from clickloop.postback.alarm_rules import FILE_NAME as RULES_FILE
from clickloop.postback.alarm_rules import AlarmRules, read_alarm_rules

_SENDING_MODULE = "clickloop.alarm.sending"
_START_SECONDS = 30.0
"""Time for the sending process in addition to the deadline of its attempts."""
_RETRY_MS = 10 * SECOND_MS
"""Wait after a sending process failed as a whole."""


class AlarmMonitor(threading.Thread):
    """A thread that looks for alarms once a second until it is stopped. No error ends it."""

    def __init__(self, settings: Settings, children: Sequence[ChildState]) -> None:
        super().__init__(name="alarm monitor", daemon=True)
        self._settings = settings
        self._folder = settings.folder()
        patience = Patience(settings.alarm_after_seconds)
        memory = read_alarm_memory(self._folder)
        self._signs = VitalSigns(self._folder, patience)
        self._children = ChildAlarms(self._folder, children, patience)
        self._own = Alarms(self._folder, SUPERVISOR)
        self._tracker = AlarmTracker(patience, lambda: uuid.uuid4().hex, dict(memory.tracked))
        self._outbox = AlarmOutbox(memory.deliveries)
        self._rules = AlarmRules()
        self._rules_mark = 0
        self._rule_ids = memory.rule_ids
        self._remembered = b""
        self._sending: threading.Thread | None = None
        self._process: subprocess.Popen[bytes] | None = None
        # Set by the sending thread and read only once that has ended, so it needs no lock.
        self._sent: list[tuple[AlarmDelivery, AlarmAttempt]] = []
        # An event, so that stopping interrupts the wait between two rounds.
        self._stopping = threading.Event()
        self._failed = RateLimitedLog("watching for alarms failed and is tried again", 60)

    def run(self) -> None:
        """Look, send and remember until stopped."""
        while not self._stopping.wait(LOOK_SECONDS):
            for step in (self._look, self._send, self._remember):
                try:
                    step()
                except Exception as fault:  # it must outlive what it watches
                    self._failed(step=step.__name__, fault=f"{type(fault).__name__}: {fault}")

    def stop(self) -> None:
        """Stop the thread; unsent messages are sent after the next start."""
        self._stopping.set()
        process = self._process
        if process is not None:
            process.kill()

    def _look(self) -> None:
        own = self._children.look()
        alarms: list[Alarm] = [*self._signs.look(), *own, *read_alarms(self._folder, but=SUPERVISOR)]
        self._introduce_new_rules()  # before the update, whose messages go to all rules, including new ones
        messages = self._tracker.update(alarms, time.monotonic(), wall_clock())
        for message in messages:
            log(f"alarm {message.state}", code=message.code, sentence=message.sentence)
        self._outbox.add(messages, self._rules, wall_clock())
        self._own.set("processes", own)

    def _introduce_new_rules(self) -> None:
        """Read the rules, and announce the current alarms to new ones."""
        self._rules = self._read_rules()
        new = tuple(rule for rule in self._rules.rules if rule.rule_id not in self._rule_ids)
        if new and (messages := self._tracker.reminders(wall_clock())):
            self._outbox.add(messages, msgspec.structs.replace(self._rules, rules=new), wall_clock())
        self._rule_ids = tuple(rule.rule_id for rule in self._rules.rules)

    def _read_rules(self) -> AlarmRules:
        """Return the rules that the core last published; if they cannot be read, the previous ones stay in force."""
        try:
            mark = os.stat(self._folder / RULES_FILE).st_mtime_ns
        except OSError:
            return self._rules
        if mark == self._rules_mark:
            return self._rules
        self._rules_mark = mark
        try:
            return read_alarm_rules(self._folder)
        except (OSError, msgspec.DecodeError) as fault:
            log("the copy of the alarm rules cannot be read: the last one stays in force", fault=str(fault))
            return self._rules

    def _send(self) -> None:
        """Record the outcome of a sending process, and start the next one if messages are due."""
        if self._sending is not None:
            if self._sending.is_alive():
                return
            self._sending = None
            for delivery, attempt in self._sent:
                self._outbox.record(delivery, attempt, wall_clock())
                outcome = {"status": attempt.status_code, "detail": attempt.detail}
                log(f"alarm message {attempt.state}", rule=delivery.rule_id, code=delivery.message.code, **outcome)
            self._sent = []
        due = self._outbox.due(self._rules, wall_clock())
        if due:
            self._sending = threading.Thread(target=self._send_these, args=(due, self._rules), daemon=True)
            self._sending.start()

    def _send_these(self, due: Sequence[tuple[AlarmDelivery, SendingJob]], rules: AlarmRules) -> None:
        """Make attempts in a separate process. Runs in a thread, since they may take as long as an attempt's deadline."""
        jobs = [job for _, job in due]
        order = {"settings": self._settings, "own_hosts": rules.own_hosts, "domain": rules.domain, "jobs": jobs}
        try:
            attempts = self._attempts(msgspec.json.encode(order))
            if len(attempts) != len(jobs):
                raise ValueError(f"{len(attempts)} outcomes of {len(jobs)} attempts")
        except Exception as fault:  # any error: messages must not become due again every second
            # It is unknown whether an attempt was made; receivers recognise a duplicate by the message id.
            detail = f"The sending process failed: {type(fault).__name__}."
            retry = AlarmAttempt(state=DeliveryState.WAITING, next_at=wall_clock() + _RETRY_MS, detail=detail)
            attempts = [msgspec.structs.replace(retry, rejections=job.rejections) for job in jobs]
        self._sent = [(delivery, attempt) for (delivery, _), attempt in zip(due, attempts, strict=True)]

    def _attempts(self, order: bytes) -> list[AlarmAttempt]:
        command = [sys.executable, "-P", "-m", _SENDING_MODULE]
        environment = {**os.environ, SUPERVISOR_PID: str(os.getpid())}
        # A separate process: the supervisor must not load an HTTP client, nor fail in one.
        with subprocess.Popen(  # noqa: S603 – our own interpreter and module
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, start_new_session=True, env=environment
        ) as process:
            self._process = process
            try:
                output, _ = process.communicate(order, self._settings.attempt_seconds + _START_SECONDS)
            finally:
                self._process = None
                # Always: a process that hangs while exiting must not stay.
                process.kill()
        return msgspec.json.decode(output, type=list[AlarmAttempt])

    def _remember(self) -> None:
        """Store what has changed. On a full disk this fails, and matters only at the next start."""
        memory = AlarmMemory(
            tracked=self._tracker.tracked, deliveries=tuple(self._outbox.deliveries), rule_ids=self._rule_ids
        )
        encoded = msgspec.json.encode(memory)
        if encoded != self._remembered:
            write_alarm_memory(self._folder, memory)
            self._remembered = encoded
