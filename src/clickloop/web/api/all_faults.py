"""Reporting all faults at once: if a body or a form cannot be read in full, the rest is checked too, and nothing is saved."""

import dataclasses
from collections.abc import Callable, Sequence
from functools import wraps
from typing import ParamSpec, TypeVar, cast

from litestar.exceptions import HTTPException
from sqlalchemy.exc import IntegrityError

from clickloop.people.user import NotPermittedError
from clickloop.saving.record import UnknownRecordError
from clickloop.setup.fault import FieldFault, InvalidInputError
from clickloop.setup.reading import PartlyRead
from clickloop.store.ledger.ledger import DryRunLedger, Rollback
from clickloop.store.ledger.setup.versions import StaleRecordError
from clickloop.web.api.context import ApiContext

P = ParamSpec("P")
R = TypeVar("R")
T = TypeVar("T")


def report_all_faults(endpoint: Callable[P, R]) -> Callable[P, R]:
    """Wrap an endpoint with a ``CheckedBody``, so that it reports all faults. It may only save through ``context.ledger``."""

    @wraps(endpoint)
    def checked(*args: P.args, **arguments: P.kwargs) -> R:
        data = arguments.get("data")
        if not isinstance(data, PartlyRead):
            return endpoint(*args, **arguments)
        untyped = cast("Callable[..., R]", endpoint)
        return save_or_report_faults(
            cast("ApiContext", arguments["context"]),
            data,
            lambda on, value: untyped(*args, **{**arguments, "context": on, "data": value}),
        )

    return checked


def save_or_report_faults(context: ApiContext, read: PartlyRead[T], save: Callable[[ApiContext, T], R]) -> R:
    """Save what was read, and return the result. Raise InvalidInputError with the faults of reading and of the checks of ``save``."""
    if not read.faults:
        return save(context, read.value)
    more: Sequence[FieldFault] = ()
    if read.value is not None:
        try:
            # For its checks alone: the trial ledger writes nothing.
            save(dataclasses.replace(context, ledger=DryRunLedger(context.ledger)), read.value)
        except InvalidInputError as error:
            more = error.faults
        except (Rollback, IntegrityError, HTTPException, StaleRecordError, UnknownRecordError, NotPermittedError):
            more = ()
    known = {fault.field for fault in read.faults}
    raise InvalidInputError((*read.faults, *(fault for fault in more if not _is_known(fault.field, known))))


def _is_known(field: str, known: set[str]) -> bool:
    """Return whether a fault is about a field, or a part or the whole of a field, that is already reported."""
    return not field or any(_is_within(field, one) or _is_within(one, field) for one in known)


def _is_within(inner: str, outer: str) -> bool:
    return inner == outer or inner.startswith((f"{outer}.", f"{outer}["))
