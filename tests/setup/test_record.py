"""A record's fields are declared once: its changes use them, and its limits are in their types."""

from typing import Any

import msgspec
import pytest
from msgspec import UNSET

from clickloop.setup.campaign import Campaign, CampaignChange, NewCampaign
from clickloop.setup.fault import FaultCode
from clickloop.setup.network import Network, NetworkChange, NewNetwork
from clickloop.setup.offer import NewOffer, Offer, OfferChange
from clickloop.setup.record import copied_name, line_faults, with_changes
from clickloop.setup.traffic_source import NewSource, SourceChange, TrafficSource

KINDS = [
    (Campaign, CampaignChange, NewCampaign, {"cost", "offers"}),
    (Network, NetworkChange, NewNetwork, set()),
    (Offer, OfferChange, NewOffer, {"payout"}),
    (TrafficSource, SourceChange, NewSource, set()),
]
"""Record, change, new record, and the fields of a change that the record has in another form."""

NETWORK = Network(name="N", token="t", addresses=("203.0.113.0/24",), refuse_duplicates=True)


@pytest.mark.parametrize(("record", "change", "new", "others"), KINDS)
def test_a_change_only_has_fields_of_its_record(record: Any, change: Any, new: Any, others: set[str]) -> None:
    assert set(change.__struct_fields__) - set(record.__struct_fields__) == others
    assert set(new.__struct_fields__) - set(record.__struct_fields__) == others


@pytest.mark.parametrize(("record", "change", "new", "others"), KINDS)
def test_a_record_has_no_field_that_its_api_hides(record: Any, change: Any, new: Any, others: set[str]) -> None:
    own = {"id", "version", "created_at", "updated_at", "archived_at"}
    kept = {"used_numbers", "cost_micros", "payout_micros", "unique_epoch"}
    assert set(record.__struct_fields__) - own - kept <= set(new.__struct_fields__)


def test_fields_left_out_of_a_change_stay() -> None:
    changed = with_changes(NETWORK, NetworkChange(name="Other", refuse_duplicates=False))
    assert changed == msgspec.structs.replace(NETWORK, name="Other", refuse_duplicates=False)


def test_an_override_of_a_change_can_leave_a_field_unset() -> None:
    changed = with_changes(NETWORK, NetworkChange(token="shown", currency="EUR"), token=UNSET)
    assert (changed.token, changed.currency) == ("t", "EUR")


@pytest.mark.parametrize(
    ("name", "token", "found"),
    [
        ("N", "t" * 200, {}),
        (" ", "", {"name": FaultCode.REQUIRED}),
        ("N" * 201, "t" * 201, {"name": FaultCode.TOO_LONG, "token": FaultCode.TOO_LONG}),
        ("N", "two\nlines", {"token": FaultCode.CHARACTER}),
    ],
)
def test_lines_are_as_long_as_their_type_says(name: str, token: str, found: dict[str, FaultCode]) -> None:
    network = Network(name=name, token=token, offer_url_template="\n" * 9_999)
    assert {fault.field: fault.code for fault in line_faults(network)} == found


def test_the_name_of_a_copy_is_not_too_long() -> None:
    assert copied_name("A") == "A (copy)"
    assert len(copied_name("A" * 200)) == 200
