"""What attribution needs of networks and offers: one statement per function; ``tx`` is an open transaction."""

from collections.abc import Iterable

from sqlalchemy import Connection, select

from clickloop.conversion.terms import NetworkTerms, OfferTerms
from clickloop.store.ledger.tables import networks, offers


def network_terms(tx: Connection, network_ids: Iterable[int]) -> dict[int, NetworkTerms]:
    """The terms of networks by number, archived ones too."""
    rows = tx.execute(
        select(
            networks.c.id,
            networks.c.currency,
            networks.c.token,
            networks.c.addresses,
            networks.c.refuse_duplicates,
            networks.c.test_only,
            networks.c.click_lifetime_days,
            networks.c.status_words,
        ).where(networks.c.id.in_(list(network_ids)))
    )
    return {
        row.id: NetworkTerms(
            currency=row.currency,
            token=row.token,
            addresses=tuple(row.addresses),
            refuse_duplicates=row.refuse_duplicates,
            test_only=row.test_only,
            click_lifetime_days=row.click_lifetime_days,
            status_words=row.status_words,
        )
        for row in rows
    }


def offer_terms(tx: Connection, offer_ids: Iterable[int]) -> dict[int, OfferTerms]:
    """The terms of offers by number, archived ones too."""
    rows = tx.execute(
        select(offers.c.id, offers.c.payout_micros, offers.c.currency).where(offers.c.id.in_(list(offer_ids)))
    )
    return {row.id: OfferTerms(row.payout_micros, row.currency) for row in rows}
