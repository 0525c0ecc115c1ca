"""Learned weights in the panel: in the flow editor beside the user's, and in a click's explained route."""

from typing import TYPE_CHECKING

import pytest

from tests.web.api.test_learned_weights import LEARNING, OFFERS, Learner

if TYPE_CHECKING:
    from tests.web.conftest import Instance
    from tests.web.panel.conftest import Panel

FLOW = "/panel/campaigns/1/flow"


@pytest.fixture
def learner(instance: "Instance") -> Learner:
    learner = Learner(instance)
    learner.earn(1, 200, 2)
    learner.earn(2, 200, 12)
    return learner


def test_the_editor_shows_each_learned_weight_with_its_evidence_beside_the_users(
    panel: "Panel", learner: Learner
) -> None:
    assert "your weights are used" in panel.page(FLOW).text
    learner.learn()
    page = panel.page(FLOW)
    assert "The weights follow what each landing or offer earned." in page.text
    assert "95.0% Second 12 conversions of 200 visits; " in page.text
    assert "visits older than 1 h count" in page.text
    assert "learned: 95.0%" in page.text
    assert page.fields["flow.default_paths[0].offers[1].weight"] == "100"
    assert page.fields["flow.default_paths[0].goal"] == "conversions_per_visit"


def test_closed_default_paths_keep_how_they_learn(panel: "Panel", learner: Learner) -> None:
    body = {
        "flow": {
            "rules": [{"paths": [{"offers": [{"offer_id": 1}]}]}],
            "default_paths": [{"id": learner.path_id, "learning": LEARNING, "offers": OFFERS}],
        }
    }
    assert learner.instance.api.patch("/api/v1/campaigns/1", json=body).status_code == 200
    learner.learn()
    page = panel.page(FLOW)
    assert "learned: 95.0%" in page.text
    panel.sent(FLOW, page.form(FLOW).fields, status=303)
    saved = learner.instance.got("campaigns/1")["flow"]["default_paths"][0]
    assert saved["learning"]["goal"] == "conversions_per_visit"


def test_the_trace_of_a_click_shows_what_its_weight_rested_on(panel: "Panel", learner: Learner) -> None:
    learner.learn()
    click = learner.click(2)
    page = panel.page(f"/panel/trace?q={click.click_id}")
    assert "Learned weight; you set 100. 12 conversions of 200 visits" in page.text
