"""Log lines about changes of receivers and rules."""

from clickloop.clock import iso_text
from clickloop.machine.log import log
from clickloop.postback.delivery.breaker import BreakerChange
from clickloop.postback.delivery.receiver_queue import ReceiverCommand, ReceiverCondition
from clickloop.postback.delivery.work import RecordingResult
from clickloop.postback.retry import PauseRule


def log_breaker_change(change: BreakerChange, receiver: str, condition: ReceiverCondition) -> None:
    """Log the change that the end of an attempt caused in a receiver's state."""
    pause, held_until = condition.pause, condition.held_until
    if pause is not None and change is not BreakerChange.HELD:
        event = "receiver paused" if change is BreakerChange.PAUSED else "receiver still fails"
        log(event, receiver=receiver, why=pause.why, failed_probes=pause.probes, next_probe=iso_text(pause.probe_at))
    elif change is BreakerChange.HELD and held_until is not None:
        log("receiver asked us to wait", receiver=receiver, until=iso_text(held_until))
    else:
        log("receiver resumed", receiver=receiver)


def log_receiver_command(receiver: str, command: ReceiverCommand) -> None:
    """Log that a user requested a probe of a receiver, or resumed it."""
    log(
        "receiver resumed by hand" if command is ReceiverCommand.RESUME else "probe asked for by hand",
        receiver=receiver,
    )


def log_rule_changes(recorded: RecordingResult) -> None:
    """Log the rules that outcomes have paused or resumed."""
    for rule_id in recorded.paused:
        log("postback rule paused", rule=rule_id, why=PauseRule().sentence)
    for rule_id in recorded.resumed:
        log("postback rule resumed", rule=rule_id)
