"""/traffic-sources: where visitors come from, the parameters of its links and its postback URL."""

from collections.abc import Collection, Sequence
from typing import Annotated

import msgspec
from litestar import Router, delete, get, patch, post
from litestar.params import JSONBody
from msgspec import UNSET, Meta, UnsetType
from msgspec.structs import replace
from sqlalchemy import Connection

from clickloop.campaign.fault import Fault, FaultCode
from clickloop.campaign.traffic_source import (
    CostModel,
    RowWish,
    SourceParameter,
    TrafficSource,
    numbered_rows,
)
from clickloop.pasting import trimmed
from clickloop.report.check.records import postback_url_findings, source_findings
from clickloop.report.masking import MASK, exposed_by, masked_text
from clickloop.store.ledger.changes_log import Action
from clickloop.store.ledger.postback_rules import KeptRule, first_rules_of_sources
from clickloop.store.ledger.setup import archive_source, postback_url_of, save_source
from clickloop.store.ledger.traffic_sources import find_source, sources_after
from clickloop.web.api.body import CheckedBody, given_or
from clickloop.web.api.context import ApiContext, Context
from clickloop.web.api.noting import note_change
from clickloop.web.api.paging import Archived, Cursor, Id, Limit, Page, Words, page_of, read_number_cursor
from clickloop.web.api.problem import invalid, not_found
from clickloop.web.api.telling_all import tells_all
from clickloop.web.api.versions import VersionedView
from clickloop.web.api.wire import MASKED, Advice, Moment, moment_text, optional_moment_text, shown, warnings_of
from clickloop.web.from_preset import rows_of_preset, source_preset_of

NOUN = "traffic-sources"

Parameter = Annotated[str, Meta(description="Its name in our link.", examples=["zone"])]
Placeholder = Annotated[
    str, Meta(description="The source's own macro, put into the campaign link.", examples=["{zoneid}"])
]
RowName = Annotated[str, Meta(description="What reports call it.", examples=["Zone"])]
Tracked = Annotated[bool, Meta(description="false: not in the link, not stored, its macro is empty.")]


class ParameterBody(msgspec.Struct, kw_only=True):
    """A parameter row to save."""

    parameter: Parameter
    placeholder: Placeholder = ""
    name: RowName = ""
    tracked: Tracked = True
    number: Annotated[
        int | None, Meta(description="1 to 30 for V1 to V30; left out: the one it has, or a free one.", examples=[1])
    ] = None


class ParameterView(msgspec.Struct, kw_only=True):
    """A parameter row. Its number never changes: -1 external_id, 0 cost, 1 to 30 for V1 to V30."""

    number: int
    parameter: Parameter
    placeholder: Placeholder
    name: RowName
    tracked: Tracked


Name = Annotated[str, Meta(description="Its name, unique among traffic sources.", examples=["Clickadu"])]
Model = Annotated[CostModel, Meta(description="What the source charges for.")]
CostCurrency = Annotated[
    str, Meta(description="Currency of its costs (ISO 4217); empty: that of the instance.", examples=["USD"])
]
PostbackUrl = Annotated[
    str,
    Meta(
        description="Called for each conversion, with our macros filled in; empty: none. See /macros.",
        examples=["https://source.example/postback?visitor_id={externalid}&payout={payout}"],
    ),
]
Rows = Annotated[
    list[ParameterBody],
    Meta(
        description="All rows of its own, which replace those before. external_id and cost are added where they are left out; "
        "their placeholders are the source's macros for its click id and its price.",
        examples=[
            [{"parameter": "external_id", "placeholder": "${SUBID}"}, {"parameter": "zone", "placeholder": "{zoneid}"}]
        ],
    ),
]


class SourceUpdate(msgspec.Struct, kw_only=True):
    """What to change of a traffic source; what is left out stays."""

    name: Name | UnsetType = UNSET
    cost_model: Model | UnsetType = UNSET
    cost_currency: CostCurrency | UnsetType = UNSET
    parameters: Rows | UnsetType = UNSET
    postback_url: PostbackUrl | UnsetType = UNSET


class SourceCreation(msgspec.Struct, kw_only=True):
    """A traffic source to create. What is left out comes from the preset, if one is named."""

    name: Name
    preset: Annotated[
        str, Meta(description="Key of a preset from /presets/traffic-sources.", examples=["propellerads"])
    ] = ""
    cost_model: Model | UnsetType = UNSET
    cost_currency: CostCurrency | UnsetType = UNSET
    parameters: Rows | UnsetType = UNSET
    postback_url: PostbackUrl | UnsetType = UNSET


class SourceView(VersionedView, kw_only=True):
    """A traffic source."""

    id: Annotated[int, Meta(examples=[1])]
    name: Name
    preset: Annotated[str, Meta(description="The preset that it was made from; empty: none.")]
    cost_model: Model
    cost_currency: CostCurrency
    parameters: list[ParameterView]
    postback_url: PostbackUrl
    postback_rule_id: Annotated[int | None, Meta(description="The postback rule that holds the postback URL.")]
    warnings: Annotated[list[Advice], Meta(description="What will probably not do what was meant.")]
    created_at: Moment
    updated_at: Moment
    archived_at: Moment | None


def create_source(context: Context, data: JSONBody[SourceCreation]) -> SourceView:
    """Creates a traffic source, from a preset or from what is given."""
    preset = source_preset_of(data.preset) if data.preset else None
    preset_rows = rows_of_preset(preset) if preset else []
    rows, faults = _rows(preset_rows if data.parameters is UNSET else _wishes(data.parameters))
    source = TrafficSource(
        name=data.name,
        preset=data.preset,
        cost_model=given_or(data.cost_model, CostModel.CPC),
        cost_currency=given_or(data.cost_currency, ""),
        parameters=rows,
    )
    url = given_or(data.postback_url, preset.postback_url if preset else "")
    with context.ledger.write() as tx:
        source = save_source(tx, source, url, context.clock(), context.guard, faults)
        view = views(tx, [source])[0]
        note_change(tx, context, NOUN, view.id, after=view)
    context.on_setup_changed()
    return view


def list_sources(
    context: Context, limit: Limit = 50, cursor: Cursor = "", archived: Archived = False, words: Words = ""
) -> Page[SourceView]:
    """Traffic sources in the order in which they were made."""
    after = read_number_cursor(NOUN, cursor)
    with context.ledger.read() as tx:
        found = sources_after(tx, after, limit + 1, archived=archived, words=words)
        shown_views = {view.id: view for view in views(tx, found)}
    return page_of(found, limit, NOUN, lambda source: source.id, lambda source: shown_views[source.id])


def read_source(context: Context, number: Id) -> SourceView:
    """One traffic source, archived or not."""
    with context.ledger.read() as tx:
        return views(tx, [_source(tx, number)])[0]


def change_source(context: Context, number: Id, data: JSONBody[SourceUpdate]) -> SourceView:
    """Changes what is given and leaves the rest."""
    with context.ledger.write() as tx:
        before = context.current(_source(tx, number))
        was = views(tx, [before])[0]
        rows, faults = before.parameters, tuple[Fault, ...]()
        if data.parameters is not UNSET:
            rows, faults = _rows(_wishes(data.parameters), before.parameters, before.used_numbers)
        source = replace(
            before,
            name=given_or(data.name, before.name),
            cost_model=given_or(data.cost_model, before.cost_model),
            cost_currency=given_or(data.cost_currency, before.cost_currency),
            parameters=rows,
        )
        url = None if data.postback_url is UNSET else _unmasked(context, tx, number, data.postback_url)
        # A secret that became another one is a change too, though both views hide it.
        is_other = url not in (None, postback_url_of(first_rules_of_sources(tx, [number]).get(number)))
        source = save_source(tx, source, url, context.clock(), context.guard, faults)
        view = views(tx, [source])[0]
        note_change(tx, context, NOUN, number, was, view, Action.CHANGED if is_other else None)
    context.on_setup_changed()
    return view


def remove_source(context: Context, number: Id) -> SourceView:
    """Takes a traffic source out of use; nothing is deleted. Refused while a live campaign needs it."""
    with context.ledger.write() as tx:
        source = context.current(_source(tx, number))
        was = views(tx, [source])[0]
        if source.archived_at is None:
            source = archive_source(tx, source, context.clock())
        view = views(tx, [source])[0]
        note_change(tx, context, NOUN, number, was, view)
    context.on_setup_changed()
    return view


def restore_source(context: Context, number: Id) -> SourceView:
    """Takes an archived traffic source into use again."""
    with context.ledger.write() as tx:
        source = context.current(_source(tx, number))
        was = views(tx, [source])[0]
        if source.archived_at is not None:
            source = save_source(tx, replace(source, archived_at=None), None, context.clock(), context.guard)
        view = views(tx, [source])[0]
        note_change(tx, context, NOUN, number, was, view)
    context.on_setup_changed()
    return view


def views(tx: Connection, sources: Sequence[TrafficSource]) -> list[SourceView]:
    """The sources as the API shows them."""
    rules = first_rules_of_sources(tx, [source.id for source in sources])
    return [_view(source, rules.get(source.id)) for source in sources]


def _view(source: TrafficSource, rule: KeptRule | None) -> SourceView:
    url = postback_url_of(rule)
    findings = source_findings(source, rule.rule if rule and rule.archived_at is None else None)
    return SourceView(
        id=source.id,
        version=source.version,
        name=shown(source.name),
        preset=source.preset,
        cost_model=source.cost_model,
        cost_currency=source.cost_currency,
        parameters=[
            ParameterView(
                number=row.number,
                parameter=shown(row.parameter),
                placeholder=shown(row.placeholder),
                name=shown(row.name),
                tracked=row.tracked,
            )
            for row in source.parameters
        ],
        postback_url=shown(masked_text(url, rule.rule.request.secrets if rule else ())),
        postback_rule_id=rule.rule.rule_id if rule else None,
        warnings=warnings_of([*findings, *postback_url_findings(source, url)]),
        created_at=moment_text(source.created_at),
        updated_at=moment_text(source.updated_at),
        archived_at=optional_moment_text(source.archived_at),
    )


def _unmasked(context: ApiContext, tx: Connection, number: int, url: str) -> str | None:
    """Return the postback URL to save; None, which leaves it as it is, where it is given as it was shown.

    Raise InvalidInputError, also where the rest of the rule that it stands in holds secrets which it would send to another host.
    """
    rule = first_rules_of_sources(tx, [number]).get(number)
    if rule is not None and url and url == masked_text(postback_url_of(rule), rule.rule.request.secrets):
        return None
    if MASK in url:
        raise invalid("postback_url", FaultCode.MASKED, MASKED)
    if rule is not None and url and not context.shows_secrets:
        before = rule.rule.request
        if exposed_by(replace(before, url=trimmed(url)), before):
            raise invalid("postback_url", FaultCode.MASKED, _EXPOSED)
    return url


_EXPOSED = "The headers or the body of its postback rule hold secrets that you may not see: ask somebody who may to change the host."


def _rows(
    wishes: Sequence[RowWish], before: Sequence[SourceParameter] = (), used_numbers: Collection[int] = ()
) -> tuple[tuple[SourceParameter, ...], tuple[Fault, ...]]:
    """The rows, or those of before and the faults of those that cannot be."""
    rows = numbered_rows(wishes, before, used_numbers)
    faults = tuple(row for row in rows if isinstance(row, Fault))
    return (tuple(before) if faults else tuple(row for row in rows if isinstance(row, SourceParameter))), faults


def _wishes(bodies: Sequence[ParameterBody]) -> list[RowWish]:
    return [RowWish(row.parameter, row.number, row.placeholder, row.name, row.tracked) for row in bodies]


def _source(tx: Connection, number: int) -> TrafficSource:
    source = find_source(tx, number)
    if source is None:
        raise not_found(f"traffic source {number}")
    return source


router = Router(
    f"/{NOUN}",
    route_handlers=[
        post("/", dto=CheckedBody, return_dto=None, sync_to_thread=True, summary="Create a traffic source")(
            tells_all(create_source)
        ),
        get("/", sync_to_thread=True, summary="List traffic sources")(list_sources),
        get("/{number:int}", sync_to_thread=True, summary="Read a traffic source")(read_source),
        patch(
            "/{number:int}", dto=CheckedBody, return_dto=None, sync_to_thread=True, summary="Change a traffic source"
        )(tells_all(change_source)),
        delete("/{number:int}", status_code=200, sync_to_thread=True, summary="Archive a traffic source")(
            remove_source
        ),
        post("/{number:int}/restore", status_code=200, sync_to_thread=True, summary="Restore a traffic source")(
            restore_source
        ),
    ],
    tags=["Traffic sources"],
)
