"""Invalid Host headers: the response is a page or a refusal."""

from typing import TYPE_CHECKING

import pytest

from clickloop.saving.access import csrf_token
from clickloop.web.panel.frame.form import CSRF_FIELD
from tests.web.test_browser import ODD_HOSTS

if TYPE_CHECKING:
    from tests.web.conftest import Instance
    from tests.web.panel.conftest import Panel


@pytest.mark.parametrize("host", ODD_HOSTS)
def test_whatever_host_is_asked_for_nothing_breaks(panel: "Panel", instance: "Instance", host: str) -> None:
    instance.set_up()
    headers = [(b"host", host.encode())]
    form = {CSRF_FIELD: csrf_token(panel.secret), "name": "x"}
    statuses = [
        panel.client.get(path, headers=headers).status_code
        for path in ("/panel", "/panel/offers", "/panel/sign-in", "/panel/nowhere", "/api/v1/offers", "/api/v1/nowhere")
    ]
    statuses += [
        panel.client.post("/panel/offers/new", data=form, headers=headers).status_code,
        panel.client.post("/panel/sign-in", data={"name": "x", "password": "y"}, headers=headers).status_code,
        instance.api.post("/api/v1/offers", json={"name": "x"}, headers=headers).status_code,
        instance.api.post(
            "/api/v1/conversions", json={"click_id": "x"}, headers=[*headers, (b"idempotency-key", b"1")]
        ).status_code,
    ]
    assert max(statuses) < 500, statuses
