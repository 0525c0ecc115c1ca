"""Saving views."""

from zoneinfo import ZoneInfo

from msgspec.structs import replace
from sqlalchemy import Connection

from clickloop.people.user import NotPermittedError
from clickloop.postback.rule import Trigger
from clickloop.report.period import zone_of
from clickloop.report.query_input import query_of, report_period
from clickloop.report.view.address import kept_request, pinned_filters
from clickloop.report.view.schedule import next_due
from clickloop.report.view.view import SavedView, may_change, may_open, view_faults
from clickloop.saving.faults import name_faults, raise_faults
from clickloop.saving.record import Noun, SavingContext, UnknownRecordError
from clickloop.setup.fault import FaultCode, FieldFault, InvalidInputError
from clickloop.store.ledger.setup.postback_rules import find_stored_rule
from clickloop.store.ledger.setup.report_names import LedgerNames
from clickloop.store.ledger.setup.settings import read_instance
from clickloop.store.ledger.setup.views import VIEWS, set_next_run, view_named

_ANY_CURRENCY = "USD"
"""The currency does not decide whether a query is right."""


def require(context: SavingContext, view: SavedView, *, to_change: bool = False) -> SavedView:
    """Return a view. Raise UnknownRecordError if the actor may not open it, NotPermittedError if they may not change it."""
    if not may_open(context.actor, view):
        raise UnknownRecordError(f"view {view.id}")
    if to_change and not may_change(context.actor, view):
        raise NotPermittedError("Only its owner and admins can change a shared view. Save it under a name of your own.")
    return view


def home_view_faults(context: SavingContext, tx: Connection, view_id: int) -> list[FieldFault]:
    """Return the fault of a view that a user's reports cannot begin with."""
    view = VIEWS.find(tx, view_id)
    if view is None or not may_open(context.actor, view):
        return [FieldFault("home_view_id", FaultCode.NOT_FOUND, f"There is no view {view_id}.")]
    if view.is_archived:
        return [FieldFault("home_view_id", FaultCode.ARCHIVED, f"The view {view_id} is archived. Choose a live one.")]
    return []


def _checked(context: SavingContext, tx: Connection, view: SavedView) -> SavedView:
    zone = read_instance(tx).time_zone or "UTC"
    query = kept_request(view.query)
    schedule = view.schedule
    if schedule is not None and not schedule.zone:
        schedule = replace(schedule, zone=query.zone or zone)
    view = replace(view, query=query, schedule=schedule)
    faults = view_faults(view) + name_faults("view", view.id, view_named(tx, view.owner_id, view.name_key))
    names = LedgerNames(tx)
    try:
        bounds = report_period(query, context.clock(), zone)
        query_of(query, bounds, _ANY_CURRENCY, names)
    except InvalidInputError as error:
        faults += [replace(fault, field=f"query.{fault.field}") for fault in error.faults]
    if schedule is not None:
        faults += _rule_faults(tx, schedule.rule_id)
    raise_faults(faults)
    pinned = pinned_filters(query.filters or (), names, zone_of(query.zone or zone) or ZoneInfo("UTC"))
    return replace(view, query=replace(query, filters=pinned or None))


def _rule_faults(tx: Connection, rule_id: int) -> list[FieldFault]:
    field, stored = "schedule.rule_id", find_stored_rule(tx, rule_id)
    if stored is None:
        return [FieldFault(field, FaultCode.NOT_FOUND, f"There is no postback rule {rule_id}.")]
    if stored.rule.conditions.trigger is not Trigger.VIEW:
        sentence = "This rule is not for views. Choose one with the trigger view, or create one."
        return [FieldFault(field, FaultCode.NOT_ALLOWED, sentence)]
    return []


def _write(tx: Connection, view: SavedView, now_ms: int) -> SavedView:
    before = VIEWS.find(tx, view.id) if view.id else None
    # Before the row may say that it is archived or has no schedule.
    if before is not None and (view.is_archived or view.schedule is None):
        set_next_run(tx, view.id, None)
    stored = VIEWS.write(tx, view, now_ms)
    schedule = stored.schedule
    is_sent = schedule is not None and schedule.active and not stored.is_archived
    is_as_before = before is not None and before.schedule == schedule and before.is_archived == stored.is_archived
    # A change of the name or the query leaves a due run due.
    if not is_as_before and (before is not None or is_sent):
        set_next_run(tx, stored.id, next_due(schedule, now_ms) if is_sent and schedule is not None else None)
    return stored


NOUN = Noun(name="views", one="view", find=VIEWS.find, checked=_checked, write=_write)
