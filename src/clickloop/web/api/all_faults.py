"""Telling all faults at once: where a body or a form cannot be read in full, the rest of it is checked too, and nothing is saved."""

import dataclasses
from collections.abc import Callable, Sequence
from functools import wraps
from typing import ParamSpec, TypeVar, cast

from litestar.exceptions import HTTPException
from sqlalchemy.exc import IntegrityError

from clickloop.people.user import NotPermittedError
from clickloop.saving.record import UnknownRecordError
from clickloop.setup.fault import Fault, InvalidInputError
from clickloop.setup.reading import PartlyRead
from clickloop.store.ledger.ledger import TrialEnded, TrialLedger
from clickloop.store.ledger.setup.versions import StaleRecordError
from clickloop.web.api.context import ApiContext

P = ParamSpec("P")
R = TypeVar("R")
T = TypeVar("T")


def tells_all(door: Callable[P, R]) -> Callable[P, R]:
    """The door of a ``CheckedBody``. It saves through ``context.ledger`` and nowhere else."""

    @wraps(door)
    def told(*args: P.args, **given: P.kwargs) -> R:
        data = given.get("data")
        if not isinstance(data, PartlyRead):
            return door(*args, **given)
        untyped = cast("Callable[..., R]", door)
        return save_read(
            cast("ApiContext", given["context"]),
            data,
            lambda on, value: untyped(*args, **{**given, "context": on, "data": value}),
        )

    return told


def save_read(context: ApiContext, read: PartlyRead[T], door: Callable[[ApiContext, T], R]) -> R:
    """What the door answers that saves what was read. Raises InvalidInputError with every fault, of reading and of the door's checks."""
    if not read.faults:
        return door(context, read.value)
    more: Sequence[Fault] = ()
    if read.value is not None:
        try:
            door(dataclasses.replace(context, ledger=TrialLedger(context.ledger)), read.value)
        except InvalidInputError as error:
            more = error.faults
        except (TrialEnded, IntegrityError, HTTPException, StaleRecordError, UnknownRecordError, NotPermittedError):
            more = ()
    known = {fault.field for fault in read.faults}
    raise InvalidInputError((*read.faults, *(fault for fault in more if not _is_known(fault.field, known))))


def _is_known(field: str, known: set[str]) -> bool:
    """Whether a fault follows from one that is told already: of the same field, of a part of it, of the whole that it is part of."""
    return not field or any(_is_within(field, one) or _is_within(one, field) for one in known)


def _is_within(inner: str, outer: str) -> bool:
    return inner == outer or inner.startswith((f"{outer}.", f"{outer}["))
