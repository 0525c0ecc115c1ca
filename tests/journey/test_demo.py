"""The demo succeeds on a real tracker, cleans up, and fails if a single figure is wrong."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from msgspec.structs import replace

from clickloop.click.click import Screening
from clickloop.conversion.notice import RefusalReason
from clickloop.conversion.notice_log import NoticeOutcome
from clickloop.demo.figures import check_figures
from clickloop.demo.observed import CampaignVisit, ObservedTraffic, SentNotice, SentStep
from clickloop.demo.plan import DELIVERED, ConversionStep, Fate, PlannedVisitor, make_plan
from clickloop.demo.reported import ApiClick, ApiConversion, ApiMoney, ApiNotice, ApiPostback, ApiStatus, TrackerData
from clickloop.demo.standins import NetworkVisit, ReceivedPostback
from clickloop.postback.state import PostbackState

COMMAND = [sys.executable, "-m", "clickloop", "demo", "--visitors"]
SKIPPED = Fate(PostbackState.SKIPPED, "status_not_selected")


def _left_behind(folder: Path) -> list[str]:
    return [path.name for path in folder.glob("clickloop-demo-*")]


@pytest.mark.journey
def test_a_demo_with_300_visitors_passes_every_check_and_leaves_nothing_behind(tmp_path: Path) -> None:
    environment = os.environ | {"TMPDIR": str(tmp_path)}
    played = subprocess.run(
        [*COMMAND, "300"], capture_output=True, text=True, timeout=120, env=environment, check=False
    )
    assert played.returncode == 0, played.stdout + played.stderr
    assert "✗" not in played.stdout
    assert _left_behind(tmp_path) == []


@pytest.mark.journey
def test_an_interrupted_demo_stops_its_tracker_and_leaves_nothing_behind(tmp_path: Path) -> None:
    environment = os.environ | {"TMPDIR": str(tmp_path), "PYTHONUNBUFFERED": "1"}
    with subprocess.Popen([*COMMAND, "300"], stdout=subprocess.PIPE, text=True, env=environment) as played:
        assert played.stdout is not None
        while "Visitors:" not in played.stdout.readline():
            assert played.poll() is None
        played.send_signal(signal.SIGINT)
        assert played.wait(40) == 130
    assert _left_behind(tmp_path) == []
    assert _processes_with(str(tmp_path)) == []


def _processes_with(text: str) -> list[str]:
    """Return the command lines of running processes that contain a text. Children of the supervisor name the data folder."""
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


def _visitor(number: int, screening: Screening | None = None) -> PlannedVisitor:
    return PlannedVisitor(
        number=number,
        external_id=b"\xff+%d" % number,
        in_link=f"%FF+{number}",
        cost="0.0100",
        useragent="Mozilla/5.0",
        language="en",
        ip="198.51.100.7",
        macro_values={},
        screening=screening,
    )


def _observed() -> ObservedTraffic:
    """Return the visits of a visitor who converts to a hold, then a sale, and of a preview bot, and a notice without a click."""
    hold = ConversionStep(txid="T1", word="2", cents=500, micros=5_000_000, status="hold", source=SKIPPED)
    sale = ConversionStep(txid="T1", word="1", cents=500, micros=5_000_000, outcome=NoticeOutcome.CHANGED)
    assert sale.source == DELIVERED
    return ObservedTraffic(
        visits=(
            CampaignVisit(_visitor(1), 302, "c1", ""),
            CampaignVisit(_visitor(2, Screening.PREVIEW_BOT), 302, "c2", ""),
        ),
        arrivals=(NetworkVisit("c1", b"\xff+1", "1"), NetworkVisit("c2", b"\xff+2", "1")),
        sent=(
            SentNotice(name="hold", outcome=NoticeOutcome.NEW, reason=None, status_code=200, outcome_header="accepted"),
            SentNotice(name="sale", outcome=NoticeOutcome.CHANGED, reason=None, status_code=200),
            SentNotice(
                name="stray",
                outcome=NoticeOutcome.REFUSED,
                reason=RefusalReason.FORGED_CLICK_ID,
                status_code=200,
                outcome_header="refused; reason=forged_click_id",
            ),
        ),
        sent_steps=(SentStep("c1", hold), SentStep("c1", sale)),
        calls=(
            ReceivedPostback("p2", b"/postback", False, b"\xff+1", "5"),
            ReceivedPostback("p2", b"/postback", True, b"\xff+1", "5"),
        ),
        own_calls=(
            ReceivedPostback("p3", b"{1}", True, payout="5", click_id="c1", txid="T1", status="hold"),
            ReceivedPostback("p4", b"{2}", True, payout="5", click_id="c1", txid="T1", status="sale"),
        ),
        source_rule_id=1,
        own_rule_id=2,
        weights=(100,),
    )


def _postback(
    postback_id: str, rule_id: int, state: PostbackState, attempts: int, reason: str | None = None
) -> ApiPostback:
    return ApiPostback(postback_id, "v1", 1, rule_id, f"Rule {rule_id}", "c1", state, reason, attempts)


def _reported() -> TrackerData:
    cost = ApiMoney("0.01", "USD")
    return TrackerData(
        clicks=(
            ApiClick("c1", "�+1", cost, "", "mobile", "US", 1),
            ApiClick("c2", "�+2", cost, "preview_bot", "bot", "US", 1),
        ),
        notices=(
            ApiNotice("n1", "s2s", "new", None, []),
            ApiNotice("n2", "api", "changed", None, []),
            ApiNotice("n3", "s2s", "refused", "forged_click_id", []),
        ),
        conversions=(
            ApiConversion("v1", "c1", "T1", ApiStatus("sale", "Sale", "confirmed"), ApiMoney("5.00", "USD"), 1),
        ),
        postbacks=(
            _postback("p1", 1, PostbackState.SKIPPED, 0, "status_not_selected"),
            _postback("p2", 1, PostbackState.DELIVERED, 2),
            _postback("p3", 2, PostbackState.DELIVERED, 1),
            _postback("p4", 2, PostbackState.DELIVERED, 1),
        ),
    )


def _failed_checks(observed: ObservedTraffic, reported: TrackerData) -> set[str]:
    return {check.name for check in check_figures(observed, reported) if not check.passed}


def test_matching_figures_pass() -> None:
    assert _failed_checks(_observed(), _reported()) == set()


WRONGLY_REPORTED = {
    "a click is missing": (
        replace(_reported(), clicks=_reported().clicks[:1]),
        "Clicks recorded, with external IDs",
    ),
    "an external ID was changed": (
        replace(_reported(), clicks=(replace(_reported().clicks[0], external_id="+1"), _reported().clicks[1])),
        "Clicks recorded, with external IDs",
    ),
    "a preview is counted": (
        replace(_reported(), clicks=(_reported().clicks[0], replace(_reported().clicks[1], screening=""))),
        "Clicks counted",
    ),
    "a cost is wrong": (
        replace(
            _reported(), clicks=(replace(_reported().clicks[0], cost=ApiMoney("0.02", "USD")), _reported().clicks[1])
        ),
        "Cost of each click",
    ),
    "a notice is missing": (
        replace(_reported(), notices=_reported().notices[1:]),
        "Conversions - In, by outcome and reason",
    ),
    "a notice is flagged that should not be": (
        replace(
            _reported(), notices=(replace(_reported().notices[0], flags=["unknown_status"]), *_reported().notices[1:])
        ),
        "Incoming postbacks flagged for status or payout",
    ),
    "a payout is wrong": (
        replace(_reported(), conversions=(replace(_reported().conversions[0], payout=ApiMoney("5.01", "USD")),)),
        "Confirmed revenue = the network's records",
    ),
    "a conversion is counted twice": (
        replace(_reported(), conversions=_reported().conversions * 2),
        "Conversions by status and payout",
    ),
    "a postback was never decided": (
        replace(_reported(), postbacks=_reported().postbacks[1:]),
        "Conversions - Out, by rule, state and reason",
    ),
    "a postback is reported as delivered that never arrived": (
        replace(_reported(), postbacks=(*_reported().postbacks, _postback("p5", 1, PostbackState.DELIVERED, 1))),
        "Postbacks delivered = accepted by the source",
    ),
    "an attempt is not recorded": (
        replace(
            _reported(),
            postbacks=(
                *_reported().postbacks[:1],
                _postback("p2", 1, PostbackState.DELIVERED, 1),
                *_reported().postbacks[2:],
            ),
        ),
        "Attempts recorded = requests received",
    ),
}


@pytest.mark.parametrize("case", WRONGLY_REPORTED)
def test_a_wrong_figure_from_the_tracker_fails_a_check(case: str) -> None:
    reported, name = WRONGLY_REPORTED[case]
    assert name in _failed_checks(_observed(), reported)


_CALLS, _OWN = _observed().calls, _observed().own_calls
WRONGLY_OBSERVED = {
    "a visitor was not redirected": (
        replace(_observed(), visits=(replace(_observed().visits[0], status_code=503), _observed().visits[1])),
        "Visitors redirected",
    ),
    "a redirected visitor never arrived": (
        replace(_observed(), arrivals=_observed().arrivals[:1]),
        "Redirects received by the network",
    ),
    "two visitors had one click ID": (
        replace(_observed(), visits=(_observed().visits[0], replace(_observed().visits[1], click_id="c1"))),
        "Unique click IDs",
    ),
    "the network got another external ID": (
        replace(
            _observed(), arrivals=(replace(_observed().arrivals[0], external_id=b"\xff 1"), _observed().arrivals[1])
        ),
        "External IDs at the network, byte for byte",
    ),
    "an offer of weight 0 was chosen": (replace(_observed(), weights=(0, 100)), "Offers chosen by weight 0 : 100"),
    "a notice was answered 503": (
        replace(_observed(), sent=(replace(_observed().sent[0], status_code=503), *_observed().sent[1:])),
        "Incoming postbacks answered correctly",
    ),
    "a forged ID was accepted": (
        replace(_observed(), sent=(*_observed().sent[:2], replace(_observed().sent[2], outcome_header="accepted"))),
        "Incoming postbacks answered correctly",
    ),
    "the source got another external ID": (
        replace(_observed(), calls=tuple(replace(call, external_id=b"\xff 1") for call in _CALLS)),
        "External IDs at the source, byte for byte",
    ),
    "the source got another payout": (
        replace(_observed(), calls=tuple(replace(call, payout="5.1") for call in _CALLS)),
        "Payouts sent to the source",
    ),
    "the own system got another status": (
        replace(_observed(), own_calls=(replace(_OWN[0], status="sale"), _OWN[1])),
        "Statuses sent to your own system",
    ),
    "a skipped postback was sent": (
        replace(_observed(), calls=(*_CALLS, replace(_CALLS[1], postback_id="p1"))),
        "Requests sent for skipped postbacks",
    ),
    "a retry differed": (
        replace(_observed(), calls=(_CALLS[0], replace(_CALLS[1], request=b"/postback?"))),
        "Retries that differed from the first attempt",
    ),
    "an unknown postback arrived": (
        replace(_observed(), own_calls=(*_OWN, replace(_OWN[1], postback_id="p9"))),
        "Postbacks delivered = accepted by your own system",
    ),
}


@pytest.mark.parametrize("case", WRONGLY_OBSERVED)
def test_a_different_observation_of_a_partner_fails_a_check(case: str) -> None:
    observed, name = WRONGLY_OBSERVED[case]
    assert name in _failed_checks(observed, _reported())


def test_every_check_has_a_case_in_which_it_fails() -> None:
    names = {name for _, name in (*WRONGLY_REPORTED.values(), *WRONGLY_OBSERVED.values())} | {
        # Fail along with checks of the same rows.
        "Clicks recorded but not counted, by reason",
        "What each status counts as",
    }
    checked = {check.name for check in check_figures(_observed(), _reported())}
    assert checked - names <= {"Offers chosen by weight 100"}


@pytest.mark.parametrize("visitors", [100, 300, 3_000])
def test_every_plan_has_every_fate_of_a_postback_and_every_outcome_of_a_notice(visitors: int) -> None:
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
    assert outcomes == set(NoticeOutcome)
    assert {visitor.screening for visitor in plan.visitors} == {None, *Screening} - {Screening.TEST}
    assert len(plan.visitors) == visitors
    assert len({visitor.external_id for visitor in plan.visitors if visitor.steps == ()}) == sum(
        visitor.steps == () for visitor in plan.visitors
    )
