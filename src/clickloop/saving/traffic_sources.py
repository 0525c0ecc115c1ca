"""Saving traffic sources with their parameters and postback URL, which is stored in the source's first postback rule."""

from collections.abc import Sequence

from msgspec import UNSET, UnsetType
from msgspec.structs import replace
from sqlalchemy import Connection

from clickloop.pasting import trimmed
from clickloop.postback.checking import check_request
from clickloop.postback.masking import MASK, MASKED_SENTENCE, exposed_fields, masked_text
from clickloop.postback.rule import PostbackRule, RequestTemplate
from clickloop.postback.sending.address_guard import AddressGuard
from clickloop.saving.faults import name_faults, raise_faults
from clickloop.saving.preset_records import rows_of_preset, source_preset_of
from clickloop.saving.record import Noun, SavingContext
from clickloop.setup.fault import FaultCode, FieldFault, InvalidInputError
from clickloop.setup.record import with_changes
from clickloop.setup.source_rows import FixedRow
from clickloop.setup.traffic_source import (
    POSTBACK_RULE_NAME,
    NewSource,
    RowInput,
    SourceChange,
    SourceParameter,
    TrafficSource,
    numbered_rows,
    source_faults,
)
from clickloop.store.ledger.setup.campaigns import live_campaign_of_source
from clickloop.store.ledger.setup.postback_rules import (
    first_rules_of_sources,
    insert_rule,
    postback_url_of,
    update_rule,
)
from clickloop.store.ledger.setup.traffic_sources import SOURCES, delete_parameters, insert_parameters


def new_source(context: SavingContext, tx: Connection, new: NewSource) -> TrafficSource:
    """Return a source as requested, not saved. Raise InvalidInputError for an unknown preset or invalid parameters."""
    preset = source_preset_of(new.preset) if new.preset else None
    source = TrafficSource(name=new.name, parameters=(), postback_url=preset.postback_url if preset else "")
    rows = rows_of_preset(preset) if preset and new.parameters is UNSET else _rows_of(new)
    return _with_rows(context, tx, with_changes(source, new, parameters=()), rows)


def changed_source(
    context: SavingContext, tx: Connection, source: TrafficSource, change: SourceChange
) -> TrafficSource:
    """Return a source with a change. A masked postback URL, as it was shown, stays unchanged. Raise InvalidInputError."""
    changed = with_changes(
        source, change, parameters=source.parameters, postback_url=_unmasked(context, tx, source, change.postback_url)
    )
    return changed if change.parameters is UNSET else _with_rows(context, tx, changed, _rows_of(change))


def _rows_of(change: SourceChange) -> Sequence[RowInput]:
    return () if change.parameters is UNSET else change.parameters


def _with_rows(
    context: SavingContext, tx: Connection, source: TrafficSource, rows: Sequence[RowInput]
) -> TrafficSource:
    """Return the source with numbered parameters. Raise InvalidInputError if they are invalid, with all other faults, too."""
    numbered = numbered_rows(rows, source.parameters, source.used_numbers)
    faults = [row for row in numbered if isinstance(row, FieldFault)]
    raise_faults([*faults, *_faults(context.guard, tx, source)] if faults else [])
    return replace(source, parameters=tuple(row for row in numbered if isinstance(row, SourceParameter)))


_EXPOSED = "Its postback rule contains secrets that you may not see. Ask a user who may see them to change the host."


def _unmasked(context: SavingContext, tx: Connection, source: TrafficSource, url: str | UnsetType) -> str | UnsetType:
    """Return the postback URL to save: the stored one if ``url`` is its masked form.

    Raise InvalidInputError, also if the URL would send secrets from the rest of its rule to another host.
    """
    rule = first_rules_of_sources(tx, [source.id]).get(source.id)
    if url and rule is not None and url == masked_text(source.postback_url, rule.rule.request.secrets):
        return source.postback_url
    if url and MASK in url:
        raise InvalidInputError((FieldFault("postback_url", FaultCode.MASKED, MASKED_SENTENCE),))
    if url and rule is not None and not context.shows_secrets:
        before = rule.rule.request
        if exposed_fields(replace(before, url=trimmed(url)), before):
            raise InvalidInputError((FieldFault("postback_url", FaultCode.MASKED, _EXPOSED),))
    return url


def _checked(context: SavingContext, tx: Connection, source: TrafficSource) -> TrafficSource:
    rows = tuple(replace(row, placeholder=trimmed(row.placeholder)) for row in source.parameters)
    source = replace(source, parameters=rows, postback_url=trimmed(source.postback_url))
    raise_faults(_faults(context.guard, tx, source))
    return source


def _faults(guard: AddressGuard, tx: Connection, source: TrafficSource) -> list[FieldFault]:
    faults = source_faults(source) + name_faults("traffic source", source.id, SOURCES.find_by(tx, "name", source.name))
    stored = postback_url_of(first_rules_of_sources(tx, [source.id]).get(source.id))
    # An unchanged URL is not checked: otherwise no other field could be saved once the guard has become stricter.
    if source.postback_url and source.postback_url != stored:
        faults += [
            FieldFault(found.field.replace("request.url", "postback_url"), found.fault, found.sentence)
            for found in check_request(RequestTemplate(url=source.postback_url), guard)
        ]
    return faults


def _write(tx: Connection, source: TrafficSource, now_ms: int) -> TrafficSource:
    # The number of a removed parameter stays taken: stored clicks keep their values under it.
    used = {*source.used_numbers, *(row.number for row in source.parameters if row.number > FixedRow.COST)}
    saved = SOURCES.write(tx, replace(source, used_numbers=tuple(sorted(used))), now_ms)
    if source.id:
        delete_parameters(tx, saved.id)
    insert_parameters(tx, saved.id, saved.parameters)
    _write_postback_url(tx, saved, now_ms)
    return saved


def _write_postback_url(tx: Connection, source: TrafficSource, now_ms: int) -> None:
    """Write the URL into the source's first rule, which is created with the source and archived while there is no URL."""
    stored = first_rules_of_sources(tx, [source.id]).get(source.id)
    archived_at = None if source.postback_url else now_ms
    if stored is None:
        request = RequestTemplate(url=source.postback_url)
        rule = PostbackRule(rule_id=0, name=POSTBACK_RULE_NAME, source_id=source.id, request=request)
        insert_rule(tx, rule, now_ms, archived_at)
    elif source.postback_url != postback_url_of(stored):
        rule = replace(stored.rule, request=replace(stored.rule.request, url=source.postback_url))
        update_rule(tx, rule, stored.version, now_ms, archived_at)


def _in_use(tx: Connection, source_id: int) -> str | None:
    campaign = live_campaign_of_source(tx, source_id)
    return None if campaign is None else f"campaign {campaign!r}"


NOUN = Noun(
    name="traffic-sources", one="traffic source", find=SOURCES.find, checked=_checked, write=_write, in_use=_in_use
)
