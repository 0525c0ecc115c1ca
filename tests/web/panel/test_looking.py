"""Read-only pages for users who may not change anything."""

import re
from typing import TYPE_CHECKING

import pytest

from clickloop.people.user import Role

if TYPE_CHECKING:
    from tests.web.conftest import Instance
    from tests.web.panel.conftest import Panel

SENTENCE = "Your role can view this page but not change it."
EDITORS = (
    *("offers/1", "campaigns/1", "traffic-sources/1", "networks/1", "postback-rules/1", "statuses/sale"),
    *("offers/new", "campaigns/new", "traffic-sources/new", "networks/new", "postback-rules/new", "statuses/new"),
    *("landings/1", "landings/new", "lists/1", "lists/new", "flows/2", "flows/new", "campaigns/1/flow"),
    *("postback-rules/new?preset=telegram", "conversions/new", "notices/rerun", "postbacks/resend"),
)


def set_up(instance: "Instance") -> None:
    """One of each record."""
    instance.set_up()
    instance.made("landings", {"name": "Landing", "url": "https://pages.example/"})
    instance.made("lists", {"name": "List", "entries": ["1"]})
    instance.made("flows", {"name": "Flow", "rules": [{"paths": [{"offers": [{"offer_id": 1}]}]}]})


@pytest.mark.parametrize("path", EDITORS)
def test_a_viewer_can_use_nothing_of_an_editor(panel: "Panel", instance: "Instance", path: str) -> None:
    set_up(instance)
    panel.become(Role.VIEWER)
    html = panel.get(f"/panel/{path}")
    assert SENTENCE in html
    main = html[html.index("<main") :]
    outside = re.sub(r'<fieldset class="whole" disabled>.*?</fieldset></form>', "", main, flags=re.DOTALL)
    assert not re.findall(r"<(?:input|select|textarea)(?![^>]*(?:hidden|readonly))[^>]*>", outside)


@pytest.mark.parametrize("path", EDITORS)
def test_who_works_sees_no_such_sentence(panel: "Panel", instance: "Instance", path: str) -> None:
    set_up(instance)
    panel.become(Role.WORKER)
    html = panel.get(f"/panel/{path}")
    assert SENTENCE not in html
    assert '<fieldset class="whole"' not in html
