"""/postback-rules: what is sent to whom when a conversion changes."""

from collections.abc import Sequence
from functools import cache, cached_property, partial
from typing import Annotated

from litestar import Router, post
from litestar.params import JSONBody, QueryParameter
from msgspec import Meta
from sqlalchemy import Connection

from clickloop.clock import Moment
from clickloop.diagnosis.check.held import ArchivedRule, archived_rule_finding
from clickloop.diagnosis.check.records import rule_findings
from clickloop.log_filter import MAX_ID
from clickloop.logs.page import Page
from clickloop.postback.rule import Rule
from clickloop.postback.rule_change import Active, Name, NewRule, Owner, RuleChange, Waits
from clickloop.saving import postback_rules as saving
from clickloop.setup.record import Versioned
from clickloop.setup.traffic_source import TrafficSource
from clickloop.store.ledger.queue.holding import count_waiting
from clickloop.store.ledger.setup.campaigns import CAMPAIGNS
from clickloop.store.ledger.setup.postback_rules import KeptRule, first_rules_of_sources, kept_rules_after
from clickloop.store.ledger.setup.traffic_sources import SOURCES, sources_after
from clickloop.web.api.context import ApiContext, Context
from clickloop.web.api.paging import Archived, Cursor, Id, Limit, Words
from clickloop.web.api.setup.records import Records, record_routes, view_of
from clickloop.web.api.setup.rule_parts import (
    ConditionsView,
    RequestTemplateView,
    SuccessView,
    conditions_view,
    request_template_view,
)
from clickloop.web.api.wire import Advice, optional_moment_text, shown, warnings_of

NOUN = saving.NOUN.name


class RuleView(Versioned, frozen=True, kw_only=True):
    """A postback rule."""

    id: Annotated[int, Meta(examples=[1])]
    name: Name
    source_id: Owner
    campaign_id: Owner
    active: Active
    request: RequestTemplateView
    conditions: ConditionsView
    success: SuccessView
    waits_seconds: Waits
    warnings: Annotated[list[Advice], Meta(description="What will probably not do what was meant.")]
    created_at: Moment
    updated_at: Moment
    archived_at: Moment | None
    is_source_postback: Annotated[
        bool, Meta(description="Whether it holds the postback URL of its source: a source's first rule does.")
    ]
    paused_at: Annotated[
        Moment | None,
        Meta(description="Since when what it owes is held back, because a receiver answered 410 Gone; resume it."),
    ]
    resuming_since: Annotated[
        Moment | None,
        Meta(
            description="It was resumed: one is let through first, and the others follow unless that is answered 410 again."
        ),
    ]


OfSource = Annotated[int | None, QueryParameter(ge=1, le=MAX_ID, description="Only rules of this traffic source.")]
OfCampaign = Annotated[int | None, QueryParameter(ge=1, le=MAX_ID, description="Only rules of this campaign.")]

OfInstance = Annotated[bool, QueryParameter(description="true: only rules of the whole instance.")]


def create_rule(context: Context, data: JSONBody[NewRule]) -> RuleView:
    """Creates a rule of a traffic source, of a campaign, or of the whole instance."""
    return RULES.create(context, lambda _tx: saving.new_rule(data))


def list_rules(
    context: Context,
    limit: Limit = 50,
    cursor: Cursor = "",
    archived: Archived = False,
    source_id: OfSource = None,
    campaign_id: OfCampaign = None,
    of_instance: OfInstance = False,
    words: Words = "",
) -> Page[RuleView]:
    """Rules in the order in which they were made. A source's first one holds its postback URL."""
    return RULES.page(
        context,
        limit,
        cursor,
        partial(
            kept_rules_after,
            archived=archived,
            source_id=source_id,
            campaign_id=campaign_id,
            of_instance=of_instance,
            words=words,
        ),
    )


def read_rule(context: Context, number: Id) -> RuleView:
    """One rule, archived or not."""
    return RULES.read(context, number)


def change_rule(context: Context, number: Id, data: JSONBody[RuleChange]) -> RuleView:
    """Changes what is given. What is owed already is sent as it was fixed when it was owed."""
    return RULES.change(context, number, lambda tx, kept: saving.changed_rule(context, tx, kept, data))


def remove_rule(context: Context, number: Id) -> RuleView:
    """Takes a rule out of use; what it owes already is still sent. A paused rule goes on holding what it owes: a warning counts it."""
    view = RULES.archive(context, number)
    if view.paused_at is None:
        return view
    with context.ledger.read() as tx:
        waiting = count_waiting(tx, number)
    if waiting:
        archived = ArchivedRule(rule_id=number, name=view.name, waiting=waiting)
        view.warnings.extend(warnings_of([archived_rule_finding(archived)]))
    return view


def restore_rule(context: Context, number: Id) -> RuleView:
    """Takes an archived rule into use again."""
    return RULES.restore(context, number)


def clone_rule(context: Context, number: Id) -> RuleView:
    """Makes a rule like this one, with its secrets and its owner; it is off, so that nobody is told twice unawares."""
    return RULES.answer(context, saving.clone(context, number, RULES.logged(context)))


def rule_view(tx: Connection, kept: KeptRule, around: "_Around | None" = None) -> RuleView:
    """A rule as the API shows it. ``around``: what was read for others already."""
    rule = kept.rule
    around = around or _Around(tx)
    computed = {
        "name": shown(rule.name),
        "source_id": rule.source_id,
        "campaign_id": rule.campaign_id,
        "active": rule.active,
        "request": request_template_view(rule.request),
        "conditions": conditions_view(rule.conditions),
        "success": view_of(SuccessView, rule.success, {}),
        "waits_seconds": rule.schedule.waits_seconds,
        "warnings": warnings_of(rule_findings(rule, around.sources_of(rule))),
        "is_source_postback": around.is_first_of_source(rule),
        "resuming_since": optional_moment_text(kept.probing_at),
    }
    return view_of(RuleView, kept, computed)


def _views(_context: ApiContext, tx: Connection, rules: Sequence[KeptRule]) -> list[RuleView]:
    around = _Around(tx)
    return [rule_view(tx, kept, around) for kept in rules]


RULES = Records(saving.NOUN, _views)


class _Around:
    """What rules belong to, each read once for all of them."""

    def __init__(self, tx: Connection) -> None:
        self._tx = tx
        self._source = cache(partial(SOURCES.find, tx))
        self._campaign = cache(partial(CAMPAIGNS.find, tx))
        self._first = cache(lambda source_id: first_rules_of_sources(tx, [source_id]).get(source_id))

    @cached_property
    def _all_sources(self) -> list[TrafficSource]:
        return sources_after(self._tx, 0, MAX_ID)

    def sources_of(self, rule: Rule) -> list[TrafficSource]:
        """Return the sources whose clicks a rule may be sent for."""
        if rule.source_id is None and rule.campaign_id is None:
            return self._all_sources
        campaign = self._campaign(rule.campaign_id) if rule.campaign_id is not None else None
        source_id = campaign.source_id if campaign else rule.source_id
        source = self._source(source_id) if source_id is not None else None
        return [source] if source else []

    def is_first_of_source(self, rule: Rule) -> bool:
        """Whether the rule holds its source's postback URL."""
        first = self._first(rule.source_id) if rule.source_id is not None else None
        return first is not None and first.rule.rule_id == rule.rule_id


router = Router(
    f"/{NOUN}",
    route_handlers=[
        *record_routes(
            "a postback rule",
            "postback rules",
            create=create_rule,
            show_list=list_rules,
            read=read_rule,
            change=change_rule,
            archive=remove_rule,
            restore=restore_rule,
        ),
        post("/{number:int}/clone", sync_to_thread=True, summary="Clone a postback rule")(clone_rule),
    ],
    tags=["Postback rules"],
)
