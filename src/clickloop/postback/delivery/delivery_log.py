"""Telling in the log what became of receivers and rules, one line each."""

from clickloop.clock import iso_text
from clickloop.machine.log import log
from clickloop.postback.delivery.breaker import Turn
from clickloop.postback.delivery.lane import Asked, Standing
from clickloop.postback.delivery.work import Recorded
from clickloop.postback.retry import PauseRule


def tell_turn(turn: Turn, receiver: str, standing: Standing) -> None:
    """Tells what the end of an attempt made of a receiver."""
    pause, held_until = standing.pause, standing.held_until
    if pause is not None and turn is not Turn.HELD:
        event = "receiver paused" if turn is Turn.PAUSED else "receiver still fails"
        log(event, receiver=receiver, why=pause.why, failed_probes=pause.probes, next_probe=iso_text(pause.probe_at))
    elif turn is Turn.HELD and held_until is not None:
        log("receiver asked us to wait", receiver=receiver, until=iso_text(held_until))
    else:
        log("receiver resumed", receiver=receiver)


def tell_asked(receiver: str, asked: Asked) -> None:
    """Tells that somebody asked for a receiver to be tried, or resumed it."""
    log("receiver resumed by hand" if asked is Asked.RESUME else "probe asked for by hand", receiver=receiver)


def tell_rules(recorded: Recorded) -> None:
    """Tells which rules outcomes have paused, and which go on."""
    for rule_id in recorded.paused:
        log("postback rule paused", rule=rule_id, why=PauseRule().sentence)
    for rule_id in recorded.resumed:
        log("postback rule resumed", rule=rule_id)
