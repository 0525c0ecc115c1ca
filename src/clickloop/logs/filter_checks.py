"""Validate filters beyond their field types."""

import msgspec
from sqlalchemy import Connection

from clickloop.conversion.conversion_log import ConversionFilter
from clickloop.log_filter import LogFilter, fields_of, narrows
from clickloop.setup.fault import FaultCode, FieldFault, InvalidInputError, invalid
from clickloop.store.ledger.ledger import Ledger
from clickloop.store.ledger.setup.statuses import status_rows
from clickloop.store.period import period_of


def require_filter(wanted: LogFilter) -> None:
    """Raise InvalidInputError for a job's filter that leaves nothing out, and for a period that cannot be read."""
    period_of(wanted)
    if not narrows(wanted):
        known = ", ".join(field.name for field in fields_of(type(wanted)))
        raise invalid("", FaultCode.REQUIRED, f"Give at least one filter: {known}.")


def check_status(tx: Connection, key: str | None) -> None:
    """Raise InvalidInputError naming the field ``status`` if there is no status of that key: a typo is no empty list."""
    known = [row.status.key for row in status_rows(tx)]
    if key is not None and key not in known:
        raise invalid("status", FaultCode.NOT_FOUND, f"There is no status {key!r}. Choose one of {', '.join(known)}.")


def check_export_filters(ledger: Ledger, filters: LogFilter) -> None:
    """Raise InvalidInputError for filters of the right shape that the log would refuse."""
    try:
        period_of(filters)
        if isinstance(filters, ConversionFilter):
            with ledger.read() as tx:
                check_status(tx, filters.status)
    except InvalidInputError as error:
        raise InvalidInputError(in_filters(error.faults)) from None


def in_filters(faults: tuple[FieldFault, ...]) -> tuple[FieldFault, ...]:
    """Return the faults of filters as those of a body that holds them in its field ``filters``."""
    return tuple(
        msgspec.structs.replace(fault, field=f"filters.{fault.field}" if fault.field else "filters") for fault in faults
    )
