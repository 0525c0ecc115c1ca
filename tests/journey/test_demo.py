"""The demo: it ends well on a real tracker, cleans up, and does not hold when one figure is wrong."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from msgspec.structs import replace

from clickloop.click.click import Screening
from clickloop.conversion.notice import RefusalReason
from clickloop.conversion.notice_log import Outcome
from clickloop.demo.figures import (
    Promise,
    Seen,
    Sent,
    Told,
    ToldClick,
    ToldConversion,
    ToldMoney,
    ToldNotice,
    ToldPostback,
    ToldStatus,
    Visit,
    check_figures,
)
from clickloop.demo.plan import DELIVERED, Fate, Step, Visitor, make_plan
from clickloop.demo.standins import Arrival, Call
from clickloop.postback.state import PostbackState

COMMAND = [sys.executable, "-m", "clickloop", "demo", "--visitors"]
SKIPPED = Fate(PostbackState.SKIPPED, "status_not_selected")


def _left_behind(folder: Path) -> list[str]:
    return [path.name for path in folder.glob("clickloop-demo-*")]


@pytest.mark.journey
def test_the_demo_of_300_visitors_ends_with_every_check_holding_and_leaves_nothing_behind(tmp_path: Path) -> None:
    environment = os.environ | {"TMPDIR": str(tmp_path)}
    played = subprocess.run(
        [*COMMAND, "300"], capture_output=True, text=True, timeout=120, env=environment, check=False
    )
    assert played.returncode == 0, played.stdout + played.stderr
    assert "✗" not in played.stdout
    assert _left_behind(tmp_path) == []


@pytest.mark.journey
def test_the_demo_that_is_interrupted_ends_its_tracker_and_leaves_nothing_behind(tmp_path: Path) -> None:
    environment = os.environ | {"TMPDIR": str(tmp_path), "PYTHONUNBUFFERED": "1"}
    with subprocess.Popen([*COMMAND, "300"], stdout=subprocess.PIPE, text=True, env=environment) as played:
        assert played.stdout is not None
        while "Visitors:" not in played.stdout.readline():
            assert played.poll() is None
        played.send_signal(signal.SIGINT)
        assert played.wait(40) == 130
    assert _left_behind(tmp_path) == []
    assert _processes_that_name(str(tmp_path)) == []


def _processes_that_name(text: str) -> list[str]:
    """Command lines of living processes that hold a text; children of the supervisor carry the data folder in theirs."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            line = path.read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except OSError:
            continue
        if text in line:
            found.append(line)
    return found


# The figures ----------------------------------------------------------------------------------------------------------


def _visitor(number: int, screening: Screening | None = None) -> Visitor:
    return Visitor(
        number=number,
        external_id=b"\xff+%d" % number,
        in_link=f"%FF+{number}",
        cost="0.0100",
        useragent="Mozilla/5.0",
        language="en",
        ip="198.51.100.7",
        rows={},
        screening=screening,
    )


def _seen() -> Seen:
    """Two visitors; the first converts to a hold and then to a sale, the second is a preview bot. A stray notice besides."""
    hold = Step(txid="T1", word="2", cents=500, micros=5_000_000, status="hold", source=SKIPPED)
    sale = Step(txid="T1", word="1", cents=500, micros=5_000_000, outcome=Outcome.CHANGED)
    assert sale.source == DELIVERED
    return Seen(
        visits=(
            Visit(_visitor(1), 302, "c1", ""),
            Visit(_visitor(2, Screening.PREVIEW_BOT), 302, "c2", ""),
        ),
        arrivals=(Arrival("c1", b"\xff+1", "1"), Arrival("c2", b"\xff+2", "1")),
        sent=(
            Sent(name="hold", outcome=Outcome.NEW, reason=None, status_code=200, said="accepted"),
            Sent(name="sale", outcome=Outcome.CHANGED, reason=None, status_code=200),
            Sent(
                name="stray",
                outcome=Outcome.REFUSED,
                reason=RefusalReason.FORGED_CLICK_ID,
                status_code=200,
                said="refused; reason=forged_click_id",
            ),
        ),
        promises=(Promise("c1", hold), Promise("c1", sale)),
        calls=(
            Call("p2", b"/postback", False, b"\xff+1", "5"),
            Call("p2", b"/postback", True, b"\xff+1", "5"),
        ),
        own_calls=(
            Call("p3", b"{1}", True, payout="5", click_id="c1", txid="T1", status="hold"),
            Call("p4", b"{2}", True, payout="5", click_id="c1", txid="T1", status="sale"),
        ),
        source_rule_id=1,
        own_rule_id=2,
        weights=(100,),
    )


def _postback(
    postback_id: str, rule_id: int, state: PostbackState, attempts: int, reason: str | None = None
) -> ToldPostback:
    return ToldPostback(postback_id, "v1", 1, rule_id, f"Rule {rule_id}", "c1", state, reason, attempts)


def _told() -> Told:
    cost = ToldMoney("0.01", "USD")
    return Told(
        clicks=(
            ToldClick("c1", "�+1", cost, "", "mobile", "US"),
            ToldClick("c2", "�+2", cost, "preview_bot", "bot", "US"),
        ),
        notices=(
            ToldNotice("n1", "s2s", "new", None, []),
            ToldNotice("n2", "api", "changed", None, []),
            ToldNotice("n3", "s2s", "refused", "forged_click_id", []),
        ),
        conversions=(
            ToldConversion("v1", "c1", "T1", ToldStatus("sale", "Sale", "confirmed"), ToldMoney("5.00", "USD")),
        ),
        postbacks=(
            _postback("p1", 1, PostbackState.SKIPPED, 0, "status_not_selected"),
            _postback("p2", 1, PostbackState.DELIVERED, 2),
            _postback("p3", 2, PostbackState.DELIVERED, 1),
            _postback("p4", 2, PostbackState.DELIVERED, 1),
        ),
    )


def _failing(seen: Seen, told: Told) -> set[str]:
    return {check.name for check in check_figures(seen, told) if not check.holds}


def test_figures_that_agree_hold() -> None:
    assert _failing(_seen(), _told()) == set()


WRONGLY_TOLD = {
    "a click is missing": (replace(_told(), clicks=_told().clicks[:1]), "Clicks recorded, with their external ids"),
    "an external id was changed": (
        replace(_told(), clicks=(replace(_told().clicks[0], external_id="+1"), _told().clicks[1])),
        "Clicks recorded, with their external ids",
    ),
    "a preview is counted": (
        replace(_told(), clicks=(_told().clicks[0], replace(_told().clicks[1], screening=""))),
        "Clicks counted",
    ),
    "a cost is wrong": (
        replace(_told(), clicks=(replace(_told().clicks[0], cost=ToldMoney("0.02", "USD")), _told().clicks[1])),
        "Cost of each click",
    ),
    "a notice is missing": (
        replace(_told(), notices=_told().notices[1:]),
        "Conversions - In, by outcome and reason",
    ),
    "a notice is flagged that should not be": (
        replace(_told(), notices=(replace(_told().notices[0], flags=["unknown_status"]), *_told().notices[1:])),
        "Notices flagged for status word or payout",
    ),
    "a payout is wrong": (
        replace(_told(), conversions=(replace(_told().conversions[0], payout=ToldMoney("5.01", "USD")),)),
        "Revenue confirmed, as in the network's books",
    ),
    "a conversion is counted twice": (
        replace(_told(), conversions=_told().conversions * 2),
        "Conversions, with status and payout",
    ),
    "a postback was never decided": (
        replace(_told(), postbacks=_told().postbacks[1:]),
        "Conversions - Out, by rule, state and reason",
    ),
    "a postback is told as delivered that never came": (
        replace(_told(), postbacks=(*_told().postbacks, _postback("p5", 1, PostbackState.DELIVERED, 1))),
        "Postbacks delivered = distinct ids the source took",
    ),
    "an attempt is not recorded": (
        replace(
            _told(),
            postbacks=(
                *_told().postbacks[:1],
                _postback("p2", 1, PostbackState.DELIVERED, 1),
                *_told().postbacks[2:],
            ),
        ),
        "Attempts recorded = requests seen",
    ),
}


@pytest.mark.parametrize("case", WRONGLY_TOLD)
def test_a_wrong_figure_of_the_tracker_fails_a_check(case: str) -> None:
    told, name = WRONGLY_TOLD[case]
    assert name in _failing(_seen(), told)


_CALLS, _OWN = _seen().calls, _seen().own_calls
WRONGLY_SEEN = {
    "a visitor was not redirected": (
        replace(_seen(), visits=(replace(_seen().visits[0], status_code=503), _seen().visits[1])),
        "Visitors redirected",
    ),
    "a redirect never came": (replace(_seen(), arrivals=_seen().arrivals[:1]), "Redirects seen by the network"),
    "two visitors had one click id": (
        replace(_seen(), visits=(_seen().visits[0], replace(_seen().visits[1], click_id="c1"))),
        "Click ids, each one unique",
    ),
    "the network got another external id": (
        replace(_seen(), arrivals=(replace(_seen().arrivals[0], external_id=b"\xff 1"), _seen().arrivals[1])),
        "External ids at the network, byte for byte",
    ),
    "an offer of weight 0 was chosen": (replace(_seen(), weights=(0, 100)), "Offers chosen by weight 0 : 100"),
    "a notice was answered 503": (
        replace(_seen(), sent=(replace(_seen().sent[0], status_code=503), *_seen().sent[1:])),
        "Notices answered, each with its right outcome",
    ),
    "a forged id was accepted": (
        replace(_seen(), sent=(*_seen().sent[:2], replace(_seen().sent[2], said="accepted"))),
        "Notices answered, each with its right outcome",
    ),
    "the source got another external id": (
        replace(_seen(), calls=tuple(replace(call, external_id=b"\xff 1") for call in _CALLS)),
        "External ids at the source, byte for byte",
    ),
    "the source was told another payout": (
        replace(_seen(), calls=tuple(replace(call, payout="5.1") for call in _CALLS)),
        "Payouts told to the source",
    ),
    "the own system was told another status": (
        replace(_seen(), own_calls=(replace(_OWN[0], status="sale"), _OWN[1])),
        "Statuses told to the own system",
    ),
    "what was skipped was sent": (
        replace(_seen(), calls=(*_CALLS, replace(_CALLS[1], postback_id="p1"))),
        "Requests for what was skipped",
    ),
    "a retry differed": (
        replace(_seen(), calls=(_CALLS[0], replace(_CALLS[1], request=b"/postback?"))),
        "Requests that differed from their first attempt",
    ),
    "an unknown postback came": (
        replace(_seen(), own_calls=(*_OWN, replace(_OWN[1], postback_id="p9"))),
        "Postbacks delivered = distinct ids the own system took",
    ),
}


@pytest.mark.parametrize("case", WRONGLY_SEEN)
def test_what_a_stand_in_saw_otherwise_fails_a_check(case: str) -> None:
    seen, name = WRONGLY_SEEN[case]
    assert name in _failing(seen, _told())


def test_every_check_is_made_to_fail_here() -> None:
    names = {name for _, name in (*WRONGLY_TOLD.values(), *WRONGLY_SEEN.values())} | {
        # Follow from those of the same rows.
        "Clicks recorded and not counted, by reason",
        "What each status counts as",
    }
    checked = {check.name for check in check_figures(_seen(), _told())}
    assert checked - names <= {"Offers chosen by weight 100"}


@pytest.mark.parametrize("visitors", [100, 300, 3_000])
def test_every_plan_holds_every_fate_of_a_postback_and_every_outcome_of_a_notice(visitors: int) -> None:
    plan = make_plan(visitors)
    steps = [step for visitor in plan.visitors for step in visitor.steps]
    fates = {(step.source.state, step.source.reason) for step in steps if step.source}
    assert fates == {
        ("delivered", ""),
        ("failed", ""),
        ("skipped", "status_not_selected"),
        ("skipped", "duplicate"),
        ("skipped", "disabled_by_notice"),
        ("skipped", "no_external_id"),
        ("skipped", "unreplaced_external_id"),
    }
    outcomes = {step.outcome for step in steps} | {stray.outcome for stray in plan.strays}
    assert outcomes == set(Outcome)
    assert {visitor.screening for visitor in plan.visitors} == {None, *Screening} - {Screening.TEST}
    assert len(plan.visitors) == visitors
    assert len({visitor.external_id for visitor in plan.visitors if visitor.steps == ()}) == sum(
        visitor.steps == () for visitor in plan.visitors
    )
