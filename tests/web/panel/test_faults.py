"""The summary of faults above a form."""

import contextlib
import sqlite3
from typing import TYPE_CHECKING

import pytest

from tests.web.panel.page import Page

if TYPE_CHECKING:
    from tests.web.conftest import Instance
    from tests.web.panel.conftest import Panel


@pytest.mark.parametrize(
    ("path", "sentence"),
    [
        ("traffic-sources/1/archive", "The campaign 'Campaign' still uses it"),
        ("networks/1/archive", "The offer 'Offer' still uses it"),
        ("offers/1/archive", "The campaign 'Campaign' still uses it"),
        ("statuses/sale/remove", "cannot be removed"),
    ],
)
def test_a_refused_action_is_not_told_as_a_faulty_field(
    panel: "Panel", instance: "Instance", path: str, sentence: str
) -> None:
    instance.set_up()
    answer = panel.post(f"/panel/{path}")
    words = Page(answer.text).text
    assert answer.status_code == 422
    assert "Not done." in words
    assert sentence in words
    assert "Please correct" not in words


def test_faulty_fields_are_counted_without_what_concerns_none(panel: "Panel", instance: "Instance") -> None:
    instance.set_up()
    assert "Please correct 2 fields" in panel.words(panel.post("/panel/offers/1", {"name": "", "url": "x"}).text)


@pytest.mark.parametrize("path", ["traffic-sources/1", "networks/1", "campaigns/1"])
def test_without_scripts_it_is_said_how_a_row_is_removed(panel: "Panel", instance: "Instance", path: str) -> None:
    instance.set_up()
    assert '<noscript><span class="dim">To remove' in panel.get(f"/panel/{path}")


def test_a_damaged_record_is_told_as_damage_of_the_ledger(panel: "Panel", instance: "Instance") -> None:
    with contextlib.closing(sqlite3.connect(instance.folder / "ledger.sqlite")) as ledger:
        ledger.execute("PRAGMA ignore_check_constraints = ON")
        ledger.execute("UPDATE statuses SET counts_as = 'confirmec' WHERE key = 'sale'")
        ledger.commit()
    assert "clickloop doctor" in panel.page("/panel/statuses", status=503).text
