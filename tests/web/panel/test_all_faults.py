"""The panel names all that is wrong with a form at once."""

import re
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.web.conftest import Instance
    from tests.web.panel.conftest import Panel

CAMPAIGN = {"name": "C", "source_id": "1", "cost.amount": "x", "domain": "evil/", "fallback_url": "javascript:alert(1)"}
RULE = {
    "name": "R",
    "request.url": "https://a.example/",
    "conditions.delay_seconds": "soon",
    "conditions.minimum_payout": "abc",
    "success.must_match": "([",
    "waits_seconds": "now and then",
}
NETWORK = {
    "name": "",
    "addresses": "x",
    "click_lifetime_days": "ten",
    "postback_parameters[0].name": "",
    "postback_parameters[0].value": "{sub1}",
}


def told(html: str) -> set[str]:
    """The fields that a page names above the form."""
    return set(re.findall(r'<li><a href="#([^"]+)"', html))


@pytest.mark.parametrize("where", ["new", "1"])
@pytest.mark.parametrize(
    ("path", "fields", "faulty"),
    [
        ("campaigns", CAMPAIGN, {"cost.amount", "domain", "fallback_url"}),
        ("campaigns", {**CAMPAIGN, "source_id": ""}, {"source_id", "cost.amount", "domain", "fallback_url"}),
        (
            "postback-rules",
            RULE,
            {"conditions.delay_seconds", "conditions.minimum_payout", "success.must_match", "waits_seconds"},
        ),
        ("networks", NETWORK, {"name", "addresses[0]", "click_lifetime_days", "postback_parameters"}),
    ],
)
def test_all_faults_of_a_form_are_told_at_once(
    panel: "Panel", instance: "Instance", path: str, fields: dict[str, str], faulty: set[str], where: str
) -> None:
    instance.set_up()
    answer = panel.post(f"/panel/{path}/{where}", fields)
    assert answer.status_code == 422
    assert told(answer.text) == faulty
    assert len(instance.got(path)["items"]) == 1
