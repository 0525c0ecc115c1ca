"""Display names of fields."""

from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from clickloop.conversion.status_change import StatusUpdate
from clickloop.postback.rule_change import RuleChange
from clickloop.setup.campaign import CampaignChange
from clickloop.setup.instance_change import SettingsUpdate
from clickloop.setup.network import NetworkChange
from clickloop.setup.offer import OfferChange
from clickloop.setup.reading import options_of
from clickloop.setup.traffic_source import SourceChange
from clickloop.web.api.people.users import UserUpdate
from clickloop.web.panel.frame.field_names import field_name

if TYPE_CHECKING:
    from tests.web.conftest import Instance
    from tests.web.panel.conftest import Panel

EDITED = (
    CampaignChange,
    NetworkChange,
    OfferChange,
    RuleChange,
    SettingsUpdate,
    SourceChange,
    StatusUpdate,
    UserUpdate,
)


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("postback_url", "Postback URL"),
        ("parameters[2].placeholder", "Parameters, row 3, placeholder"),
        ("parameters[V3].placeholder", "Parameters, V3, placeholder"),
        ("cost.amount", "Fixed cost"),
        ("cost.currency", "Fixed cost, currency"),
        ("conditions.delay_seconds", "Delay"),
        ("conditions.minimum_payout", "Minimum payout"),
        ("success.must_match", "Must match"),
        ("tags[0]", "Tags, row 1"),
        ("offers[1].offer_id", "Offers, row 2, offer"),
        ("offers[1].weight", "Offers, row 2, weight"),
        ("flow.rules[0].conditions[1].values", "Rule 1, condition 2, values"),
        ("rules[2].paths[0].offers[4].number", "Rule 3, path 1, offer 5"),
        ("flow.rules[row 2].paths[Quiz].offers[offer 7].weight", "Rule 2, path “Quiz”, offer 7, weight"),
        ("default_paths[0].url", "Default path 1, URL"),
        ("flow_id", "Shared flow"),
        ("request.url", "URL"),
        ("request.headers[0].value", "Headers, row 1, value"),
        ("waits_seconds[1]", "Retry delays, row 2"),
        ("time_zone", "Time zone"),
        ("url", "Offer URL"),
        ("postback_parameters.cid", "Postback URL, cid"),
        ("conditions", "Conditions"),
        ("", ""),
    ],
)
def test_a_path_is_told_as_its_form_calls_it(path: str, name: str) -> None:
    assert field_name(path) == name


@pytest.mark.parametrize("kind", EDITED)
def test_no_name_of_an_edited_field_looks_like_one_of_a_program(kind: type[Any]) -> None:
    names = [field_name(path) for path in paths(kind)]
    assert [name for name in names if "_" in name or "." in name or not name[:1].isupper()] == []
    assert len(set(names)) == len(names)


def paths(kind: type[Any], before: str = "") -> list[str]:
    """Return every field of a Struct and of its nested Structs."""
    found = []
    for field in msgspec.structs.fields(kind):
        inner = [one for one in options_of(field.type) if isinstance(one, type) and issubclass(one, msgspec.Struct)]
        path = before + field.encode_name
        found += [below for one in inner for below in paths(one, f"{path}.")] or [path]
    return found


def test_the_summary_of_a_form_names_fields_so_and_leads_to_them(panel: "Panel", instance: "Instance") -> None:
    instance.set_up()
    html = panel.post("/panel/campaigns/1", {"name": "C", "source_id": "1", "cost.amount": "x"}).text
    assert '<a href="#cost.amount">Fixed cost</a>' in html
