"""/postback-rules: which requests are sent, and where, when a conversion changes."""

from collections.abc import Sequence
from functools import cache, cached_property, partial
from typing import Annotated

from litestar import Router, post
from litestar.params import JSONBody, QueryParameter
from msgspec import Meta
from sqlalchemy import Connection

from clickloop.clock import Moment, optional_iso_text
from clickloop.diagnosis.check.holdups import ArchivedRule, archived_rule_finding
from clickloop.diagnosis.check.records import rule_findings
from clickloop.log_filter import MAX_ID
from clickloop.logs.page import Page
from clickloop.logs.view import view_of
from clickloop.postback.rule import PostbackRule
from clickloop.postback.rule_change import Active, Name, NewRule, Owner, RuleChange, Waits
from clickloop.saving import postback_rules as saving
from clickloop.setup.record import Versioned
from clickloop.setup.traffic_source import TrafficSource
from clickloop.store.ledger.queue.holding import count_waiting
from clickloop.store.ledger.setup.campaigns import CAMPAIGNS
from clickloop.store.ledger.setup.postback_rules import StoredRule, first_rules_of_sources, stored_rules_after
from clickloop.store.ledger.setup.traffic_sources import SOURCES, sources_after
from clickloop.text import readable
from clickloop.web.api.context import ApiContext, Context
from clickloop.web.api.paging import Archived, Cursor, Id, Limit, Words
from clickloop.web.api.setup.records import Records, record_routes
from clickloop.web.api.setup.rule_parts import (
    ConditionsView,
    RequestTemplateView,
    SuccessView,
    conditions_view,
    request_template_view,
)
from clickloop.web.api.wire import Advice, warnings_of

NOUN = saving.NOUN.name


class PostbackRuleView(Versioned, frozen=True, kw_only=True):
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
    warnings: Annotated[list[Advice], Meta(description="Likely mistakes. They do not prevent saving.")]
    created_at: Moment
    updated_at: Moment
    archived_at: Moment | None
    is_source_postback: Annotated[
        bool, Meta(description="true if it contains its source's postback URL, as a source's first rule does.")
    ]
    paused_at: Annotated[
        Moment | None,
        Meta(
            description="When the rule was paused because a receiver answered 410 Gone. Its postbacks wait until you resume it."
        ),
    ]
    resuming_since: Annotated[
        Moment | None,
        Meta(
            description="When the rule was resumed, while its first postback is tested. The others follow unless it gets 410 again."
        ),
    ]


SourceIdParameter = Annotated[
    int | None, QueryParameter(ge=1, le=MAX_ID, description="Return only rules of this traffic source.")
]
CampaignIdParameter = Annotated[
    int | None, QueryParameter(ge=1, le=MAX_ID, description="Return only rules of this campaign.")
]

InstanceParameter = Annotated[bool, QueryParameter(description="true returns only rules of the whole instance.")]


def create_rule(context: Context, data: JSONBody[NewRule]) -> PostbackRuleView:
    """Create a rule for a traffic source, a campaign, or the whole instance."""
    return RULES.create(context, lambda _tx: saving.new_rule(data))


def list_rules(
    context: Context,
    limit: Limit = 50,
    cursor: Cursor = "",
    archived: Archived = False,
    source_id: SourceIdParameter = None,
    campaign_id: CampaignIdParameter = None,
    of_instance: InstanceParameter = False,
    words: Words = "",
) -> Page[PostbackRuleView]:
    """List rules in order of creation. A source's first rule contains its postback URL."""
    return RULES.page(
        context,
        limit,
        cursor,
        partial(
            stored_rules_after,
            archived=archived,
            source_id=source_id,
            campaign_id=campaign_id,
            of_instance=of_instance,
            words=words,
        ),
    )


def read_rule(context: Context, number: Id) -> PostbackRuleView:
    """Return a rule, archived or not."""
    return RULES.read(context, number)


def change_rule(context: Context, number: Id, data: JSONBody[RuleChange]) -> PostbackRuleView:
    """Change the given fields. Postbacks created before the change are sent unchanged."""
    return RULES.change(context, number, lambda tx, stored: saving.changed_rule(context, tx, stored, data))


def remove_rule(context: Context, number: Id) -> PostbackRuleView:
    """Archive a rule. Its waiting postbacks are still sent, except those of a paused rule, which a warning counts."""
    view = RULES.archive(context, number)
    if view.paused_at is None:
        return view
    with context.ledger.read() as tx:
        waiting = count_waiting(tx, number)
    if waiting:
        archived = ArchivedRule(rule_id=number, name=view.name, waiting=waiting)
        view.warnings.extend(warnings_of([archived_rule_finding(archived)]))
    return view


def restore_rule(context: Context, number: Id) -> PostbackRuleView:
    """Restore an archived rule."""
    return RULES.restore(context, number)


def clone_rule(context: Context, number: Id) -> PostbackRuleView:
    """Copy a rule, with its secrets and owner. The copy is off, so that nothing is sent twice by accident."""
    return RULES.answer(context, saving.clone(context, number, RULES.logged(context)))


def rule_view(tx: Connection, stored: StoredRule, owners: "_RuleOwners | None" = None) -> PostbackRuleView:
    """Return a rule as the API shows it. ``owners`` caches what several rules share."""
    rule = stored.rule
    owners = owners or _RuleOwners(tx)
    return view_of(
        PostbackRuleView,
        stored,
        name=readable(rule.name),
        source_id=rule.source_id,
        campaign_id=rule.campaign_id,
        active=rule.active,
        request=request_template_view(rule.request),
        conditions=conditions_view(rule.conditions),
        success=view_of(SuccessView, rule.success),
        waits_seconds=rule.schedule.waits_seconds,
        warnings=warnings_of(rule_findings(rule, owners.sources_of(rule))),
        is_source_postback=owners.is_first_of_source(rule),
        resuming_since=optional_iso_text(stored.probing_at),
    )


def _views(_context: ApiContext, tx: Connection, rules: Sequence[StoredRule]) -> list[PostbackRuleView]:
    owners = _RuleOwners(tx)
    return [rule_view(tx, stored, owners) for stored in rules]


RULES = Records(saving.NOUN, _views)


class _RuleOwners:
    """The sources and campaigns of rules, each read once."""

    def __init__(self, tx: Connection) -> None:
        self._tx = tx
        self._source = cache(partial(SOURCES.find, tx))
        self._campaign = cache(partial(CAMPAIGNS.find, tx))
        self._first = cache(lambda source_id: first_rules_of_sources(tx, [source_id]).get(source_id))

    @cached_property
    def _all_sources(self) -> list[TrafficSource]:
        return sources_after(self._tx, 0, MAX_ID)

    def sources_of(self, rule: PostbackRule) -> list[TrafficSource]:
        """Return the sources for whose clicks a rule may send postbacks."""
        if rule.source_id is None and rule.campaign_id is None:
            return self._all_sources
        campaign = self._campaign(rule.campaign_id) if rule.campaign_id is not None else None
        source_id = campaign.source_id if campaign else rule.source_id
        source = self._source(source_id) if source_id is not None else None
        return [source] if source else []

    def is_first_of_source(self, rule: PostbackRule) -> bool:
        """Return whether the rule contains its source's postback URL."""
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
