"""Sending alarms: one attempt each, with the address guard and the HTTP client of postbacks.

The supervisor starts ``python -m clickloop.alarm.sending`` when messages are due, so that it need not load an HTTP client. The
process needs neither the core nor a store; it reads its work from standard input and writes the outcome to standard output.
"""

import asyncio
import random
import sys
from collections.abc import Sequence

import msgspec

from clickloop.alarm.outbox import AlarmAttempt, DeliveryState, SendingJob
from clickloop.clock import wall_clock
from clickloop.config import Settings
from clickloop.machine.process import end_with_parent
from clickloop.postback.alarm_rules import alarm_values
from clickloop.postback.masking import masked_text
from clickloop.postback.retry import AttemptCounts, AttemptOutcome, Delivered, Retry, decide, fault_of, is_rejecting
from clickloop.postback.sending.address_guard import AddressGuard, policy_of
from clickloop.postback.sending.client import Sender
from clickloop.postback.values import ready_request
from clickloop.text import escape_bytes, readable

_ANSWER_CHARACTERS = 200


class SendingOrder(msgspec.Struct, frozen=True, kw_only=True):
    """The work of a sending process."""

    settings: Settings
    own_hosts: tuple[str, ...]
    domain: str
    jobs: tuple[SendingJob, ...]


async def send_alarms(
    jobs: Sequence[SendingJob], guard: AddressGuard, domain: str, deadline_seconds: float
) -> list[AlarmAttempt]:
    """Make one attempt per job, concurrently, and return the outcomes in the same order."""
    async with Sender(deadline_seconds, guard) as sender:
        return await asyncio.gather(*(_send(sender, job, domain) for job in jobs))


async def _send(sender: Sender, job: SendingJob, domain: str) -> AlarmAttempt:
    rule, message = job.rule, job.message
    values = alarm_values(
        message_id=message.message_id,
        code=message.code,
        sentence=message.sentence,
        state=message.state.value,
        since_ms=message.since,
        rule_name=rule.name,
        domain=domain,
    )
    request = ready_request(rule.request).resolve(values, wall_clock(), None)
    outcome = await sender.send(request, job.attempts + 1)
    now_ms = wall_clock()
    tried = AttemptCounts(job.attempts + 1, job.rejections)
    decision = decide(outcome, tried, rule.success, rule.schedule, now_ms, random.random)
    if isinstance(decision, Delivered):
        return AlarmAttempt(state=DeliveryState.DELIVERED, status_code=outcome.status_code)
    detail = _detail(outcome, fault_of(outcome, rule.success) or "", rule.request.secrets)
    rejections = job.rejections + is_rejecting(outcome.status_code)
    if isinstance(decision, Retry):
        return AlarmAttempt(
            state=DeliveryState.WAITING,
            next_at=decision.at,
            rejections=rejections,
            status_code=outcome.status_code,
            detail=detail,
        )
    if decision.sentence not in detail:
        detail = f"{decision.sentence} {detail}".strip()
    return AlarmAttempt(
        state=DeliveryState.FAILED, rejections=rejections, status_code=outcome.status_code, detail=detail
    )


def _detail(outcome: AttemptOutcome, fault: str, secrets: Sequence[str]) -> str:
    """Return why an attempt failed, with the beginning of the response; the rule's secrets are masked."""
    answer = readable(escape_bytes(outcome.answer[: 4 * _ANSWER_CHARACTERS]))[:_ANSWER_CHARACTERS]
    text = " ".join(part for part in (fault, outcome.error, f"Answer: {answer}" if answer else "") if part)
    return masked_text(text, secrets)


def main() -> int:
    """Read an order, send its messages, and write the list of attempts."""
    end_with_parent()
    order = msgspec.json.decode(sys.stdin.buffer.read(), type=SendingOrder)
    guard = AddressGuard(policy_of(order.settings))
    guard.know_own_hosts(frozenset(order.own_hosts))
    attempts = asyncio.run(send_alarms(order.jobs, guard, order.domain, order.settings.attempt_seconds))
    sys.stdout.buffer.write(msgspec.json.encode(attempts))
    return 0


if __name__ == "__main__":
    sys.exit(main())
