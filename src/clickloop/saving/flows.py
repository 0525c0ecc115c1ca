"""Saving flows: the shared ones, and the parts of a campaign's own."""

from collections.abc import Callable, Collection, Iterable, Mapping

from msgspec.structs import replace
from sqlalchemy import Connection

from clickloop.pasting import trimmed
from clickloop.saving.faults import raise_faults
from clickloop.saving.record import Noun, SavingContext
from clickloop.setup.fault import FaultCode, FieldFault
from clickloop.setup.flow import MAX_DEPTH, FlowParts, changed_parts, flow_faults, part_labels, references_of
from clickloop.setup.shared_flow import SharedFlow, shared_flow_faults
from clickloop.store.ledger.setup.flows import (
    FLOWS,
    NamedPart,
    archive_parts,
    campaign_hops,
    campaigns_with_flow,
    delete_references,
    find_shared_flow,
    insert_part,
    insert_references,
    insert_version,
    live_campaigns_of_flow,
    parts_of_flow,
    rename_part,
    restore_parts,
)
from clickloop.store.ledger.setup.live import live_ids

RULE, PATH = "rule", "path"


def trimmed_parts(parts: FlowParts) -> FlowParts:
    """Return a flow without white space around the URLs of its paths."""
    return changed_parts(parts, lambda path: replace(path, url=trimmed(path.url)))


def parts_faults(tx: Connection, parts: FlowParts, flow_id: int, campaign_ids: Collection[int]) -> list[FieldFault]:
    """Return everything wrong with the parts of a flow, with fields relative to it.

    ``flow_id``: the flow that they are saved in; 0: a new one. ``campaign_ids``: the campaigns whose visitors will follow it.
    """
    faults = flow_faults(parts)
    if any(fault.code is FaultCode.TOO_MANY for fault in faults):
        return faults
    faults += _reference_faults(tx, parts) + _id_faults(tx, parts, flow_id)
    return faults + loop_faults(tx, parts, campaign_ids)


def _reference_faults(tx: Connection, parts: FlowParts) -> list[FieldFault]:
    """Return a fault for each reference to a record that is archived or does not exist."""
    named = references_of(parts)
    offers, landings = live_ids(tx, "offers", named.offers), live_ids(tx, "landings", named.landings)
    campaigns, lists = live_ids(tx, "campaigns", named.campaigns), live_ids(tx, "lists", named.lists)
    faults = []
    for at, path in parts.paths():
        for position, offer in enumerate(path.offers):
            faults += _missing(f"{at}.offers[{position}].offer_id", "offer", offer.offer_id, offers)
        for position, landing in enumerate(path.landings):
            faults += _missing(f"{at}.landings[{position}].landing_id", "landing", landing.landing_id, landings)
        faults += _missing(f"{at}.campaign_id", "campaign", path.campaign_id, campaigns)
    for number, rule in enumerate(parts.rules):
        for position, condition in enumerate(rule.conditions):
            field = f"rules[{number}].conditions[{position}].list_id"
            faults += _missing(field, "list", condition.list_id, lists)
    return faults


def _missing(field: str, noun: str, number: int | None, live: Collection[int]) -> list[FieldFault]:
    if number is None or number in live:
        return []
    return [FieldFault(field, FaultCode.NOT_FOUND, f"There is no live {noun} {number}.")]


def _id_faults(tx: Connection, parts: FlowParts, flow_id: int) -> list[FieldFault]:
    """Return a fault for each id of a rule or path that the flow does not have: ids are never chosen by the caller."""
    known = {(part.kind, part.id) for part in parts_of_flow(tx, flow_id)} if flow_id else set()
    return [
        FieldFault(
            f"{at}.id", FaultCode.NOT_FOUND, f"The flow has no {kind} {number}. Leave the id out to add a new {kind}."
        )
        for at, kind, number in _numbered(parts)
        if number and (kind, number) not in known
    ]


def _numbered(parts: FlowParts) -> Iterable[tuple[str, str, int]]:
    for number, rule in enumerate(parts.rules):
        yield f"rules[{number}]", RULE, rule.id
    for at, path in parts.paths():
        yield at, PATH, path.id


def loop_faults(tx: Connection, parts: FlowParts, campaign_ids: Collection[int]) -> list[FieldFault]:
    """Return a fault for each path that closes a loop of campaigns, or leads through too many of them.

    ``campaign_ids``: the campaigns that follow the parts; 0: one that is new.

    The ledger has one writer at a time, so that two saves at once cannot close a loop together.
    """
    targets = references_of(parts).campaigns
    if not campaign_ids or not targets:
        return []
    hops: dict[int, set[int]] = {campaign_id: set(targets) for campaign_id in campaign_ids}
    for campaign_id, target in campaign_hops(tx):
        if campaign_id not in campaign_ids:
            hops.setdefault(campaign_id, set()).add(target)
    before = max(_depth(_reversed(hops), campaign_id) or 0 for campaign_id in campaign_ids)
    faults = []
    for at, path in parts.paths():
        if path.campaign_id is None:
            continue
        after = _depth(hops, path.campaign_id)
        if after is None or path.campaign_id in campaign_ids:
            sentence = f"Campaign {path.campaign_id} leads back to this flow, so visitors would go round in a loop."
            faults.append(FieldFault(f"{at}.campaign_id", FaultCode.NOT_ALLOWED, sentence))
        elif before + 1 + after > MAX_DEPTH:
            sentence = (
                f"Visitors would pass through more than {MAX_DEPTH} further campaigns. The maximum is {MAX_DEPTH}."
            )
            faults.append(FieldFault(f"{at}.campaign_id", FaultCode.TOO_MANY, sentence))
    return faults


def _depth(hops: Mapping[int, Collection[int]], start: int) -> int | None:
    """Return the length of the longest chain of campaigns from a campaign, or None if there is a loop."""
    layer, depth = {start}, 0
    while layer := {target for campaign_id in layer for target in hops.get(campaign_id, ())}:
        depth += 1
        if depth > len(hops):
            return None
    return depth


def _reversed(hops: Mapping[int, Collection[int]]) -> dict[int, set[int]]:
    found: dict[int, set[int]] = {}
    for campaign_id, targets in hops.items():
        for target in targets:
            found.setdefault(target, set()).add(campaign_id)
    return found


def save_parts(
    tx: Connection, flow_id: int, parts: FlowParts, now_ms: int, write: Callable[[FlowParts], None]
) -> FlowParts:
    """Number new rules and paths, archive removed ones, write the flow, and store its version. Return the flow with ids.

    Reports call each rule and path what its editor calls it.

    ``write`` writes the parts into the flow's row.
    """
    known = {(part.kind, part.id): part for part in parts_of_flow(tx, flow_id)}
    used: set[int] = set()

    def numbered(kind: str, number: int) -> int:
        number = number or insert_part(tx, flow_id, kind, "")
        used.add(number)
        return number

    saved = changed_parts(
        parts,
        lambda path: replace(path, id=numbered(PATH, path.id)),
        lambda rule: replace(rule, id=numbered(RULE, rule.id)),
    )
    names = {part.id: part.name for part in known.values()}
    for number, label in part_labels(saved).items():  # those without a name are numbered as they stand
        if names.get(number) != label:
            rename_part(tx, number, label)
    archive_parts(tx, _removed(known.values(), used), now_ms)
    # Somebody saved the flow as it was before they were removed: they are the same rules and paths, with their history.
    restore_parts(tx, [part.id for part in known.values() if part.id in used and part.is_removed])
    write(saved)
    delete_references(tx, flow_id)
    insert_references(tx, flow_id, references_of(saved))
    insert_version(tx, flow_id, now_ms)
    return saved


def _removed(known: Iterable[NamedPart], used: Collection[int]) -> list[int]:
    return [part.id for part in known if part.id not in used and not part.is_removed]


def _checked(_context: SavingContext, tx: Connection, flow: SharedFlow) -> SharedFlow:
    flow = replace(flow, parts=trimmed_parts(flow.parts))
    faults = shared_flow_faults(replace(flow, parts=FlowParts()))
    faults += parts_faults(tx, flow.parts, flow.id, campaigns_with_flow(tx, flow.id) if flow.id else ())
    raise_faults(faults)
    return flow


def _write(tx: Connection, flow: SharedFlow, now_ms: int) -> SharedFlow:
    before = find_shared_flow(tx, flow.id) if flow.id else None
    if before is not None and before.parts == flow.parts:
        return FLOWS.write(tx, flow, now_ms)
    saved = flow if flow.id else FLOWS.write(tx, replace(flow, parts=FlowParts()), now_ms)

    def write(parts: FlowParts) -> None:
        nonlocal saved
        saved = FLOWS.write(tx, replace(saved, parts=parts), now_ms)

    save_parts(tx, saved.id, flow.parts, now_ms, write)
    return saved


def _in_use(tx: Connection, flow_id: int) -> str | None:
    found = live_campaigns_of_flow(tx, flow_id)
    return f"campaign {found[0]!r}" if found else None


NOUN = Noun(name="flows", one="flow", find=find_shared_flow, checked=_checked, write=_write, in_use=_in_use)
