"""Filters of the logs: each field describes itself, and the ledger, the facts and the command line take every one."""

from typing import Any

import pytest
import typer
from typer.testing import CliRunner

from clickloop.cli.filter_options import with_options_of
from clickloop.click.click_log import ClickFilter
from clickloop.conversion.conversion_log import ConversionFilter
from clickloop.conversion.notice import RefusalReason
from clickloop.conversion.notice_log import NoticeFilter, NoticeOutcome
from clickloop.log_filter import PERIOD, LogFilter, extract_filter, fields_of, label_of, meta_of, narrows, type_of
from clickloop.postback.due import SkipReason
from clickloop.postback.postback_log import CancelFilter, PostbackFilter, ResendFilter
from clickloop.postback.state import PostbackState
from clickloop.setup.fault import InvalidInputError
from clickloop.store.period import Period, period_of
from clickloop.web.api.jobs.resends import BulkResend

FILTERS = [ClickFilter, ConversionFilter, NoticeFilter, PostbackFilter, ResendFilter, CancelFilter]


@pytest.mark.parametrize("kind", FILTERS)
def test_every_field_has_a_description_a_label_and_a_limit_where_it_is_a_text_or_a_number(
    kind: type[LogFilter],
) -> None:
    for field in fields_of(kind):
        meta = meta_of(field)
        assert meta.description, field.name
        assert label_of(field)[0].isupper(), field.name
        assert meta.max_length or type_of(field) is not str, field.name
        assert meta.le or type_of(field) is not int, field.name


@pytest.mark.parametrize("kind", FILTERS)
def test_the_period_comes_last(kind: type[LogFilter]) -> None:
    assert tuple(field.name for field in fields_of(kind)[-2:]) == PERIOD


def test_a_field_is_called_what_it_filters_by() -> None:
    labels = {field.name: label_of(field) for field in (*fields_of(NoticeFilter), *fields_of(ConversionFilter))}
    assert (labels["network_id"], labels["click_id"], labels["txid"]) == ("Network", "Click ID", "Transaction ID")
    assert (labels["status_word"], labels["flagged"]) == ("Status word", "Flag")


@pytest.mark.parametrize(
    ("wanted", "answer"),
    [
        (NoticeFilter(), False),
        (NoticeFilter(click_id=" "), False),
        (NoticeFilter(flagged=False), True),
        (NoticeFilter(status_word=""), True),
        (NoticeFilter(until="2026-03-01"), True),
        (ConversionFilter(txid=""), True),
    ],
)
def test_a_filter_narrows_when_it_leaves_anything_out(wanted: LogFilter, answer: bool) -> None:
    assert narrows(wanted) is answer


def test_the_filter_in_a_body_is_found_whole_and_without_the_rest() -> None:
    body = BulkResend(state=None, reason=SkipReason.RULE_OFF, rule_id=4, since="2026-03-01", preview=True)
    assert extract_filter(body, PostbackFilter) == PostbackFilter(
        reason=SkipReason.RULE_OFF, rule_id=4, since="2026-03-01"
    )


def test_the_state_in_a_body_becomes_that_of_the_log() -> None:
    assert extract_filter(CancelFilter(), PostbackFilter) == PostbackFilter()
    for word in ("failed", "paused"):
        body = BulkResend(state=type_of(fields_of(ResendFilter)[0])(word))
        assert extract_filter(body, PostbackFilter).state is PostbackState(word)


def test_a_period_is_read_as_moments_and_a_wrong_one_names_its_field() -> None:
    wanted = NoticeFilter(since="2026-03-01T12:00:00.5Z", until="2026-03-02")
    assert period_of(wanted) == Period(1_772_366_400_500, 1_772_409_600_000)
    with pytest.raises(InvalidInputError) as refused:
        period_of(NoticeFilter(until="soon"))
    assert [fault.field for fault in refused.value.faults] == ["until"]


def test_a_command_takes_each_field_as_an_option_and_hands_on_what_was_given() -> None:
    taken: list[dict[str, Any]] = []

    @with_options_of(NoticeFilter)
    def command(filters: dict[str, Any], preview: bool = False) -> None:
        """Do it."""
        taken.append({**filters, "preview": preview})

    app = typer.Typer()
    app.command()(command)
    run = CliRunner().invoke
    given = {
        "outcome": NoticeOutcome.REFUSED.value,
        "reason": RefusalReason.WRONG_TOKEN.value,
        "network_id": 3,
        "campaign_id": 4,
        "status_word": "lead",
        "click_id": "c",
        "conversion_id": "v",
        "since": "2026-03-01",
        "until": "2026-03-02",
    }
    options = [
        part
        for name, value in given.items()
        for part in ("--" + name.removesuffix("_id").replace("_", "-"), str(value))
    ]
    assert run(app, [*options, "--no-flagged", "--preview"]).exit_code == 0
    assert run(app, []).exit_code == 0
    assert taken == [{**given, "flagged": False, "preview": True}, {"preview": False}]
