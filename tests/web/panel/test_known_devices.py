"""A device that has signed in before is not made to wait for what others do who share its address."""

from typing import TYPE_CHECKING, Any

from clickloop.people.sign_in_limits import FREE_FOR_NAME
from clickloop.people.user import Role
from clickloop.web.panel.people.sign_in import DEVICE_COOKIE as COOKIE
from tests.web.conftest import PASSWORD

if TYPE_CHECKING:
    from tests.web.panel.conftest import Panel


def sign_in(panel: "Panel", name: str, password: str, device: str = "") -> Any:
    panel.client.cookies.clear()
    cookies = {"cookie": f"{COOKIE}={device}"} if device else {}
    return panel.client.post("/panel/sign-in", data={"name": name, "password": password}, headers=cookies)


def device_of(answer: Any) -> str:
    lines = [line for line in answer.headers.get_list("set-cookie") if line.startswith(f"{COOKIE}=")]
    assert "HttpOnly" in lines[0]
    return str(lines[0].partition(";")[0].partition("=")[2]).strip('"')


def test_the_owners_device_gets_in_while_strangers_behind_the_same_proxy_guess(panel: "Panel") -> None:
    panel.instance.user(Role.OWNER, "anna")
    device = device_of(sign_in(panel, "anna", PASSWORD))
    for number in range(3 * FREE_FOR_NAME):
        sign_in(panel, "anna", f"guess {number}")
    assert sign_in(panel, "anna", PASSWORD).status_code == 429
    assert sign_in(panel, "anna", PASSWORD, device).status_code == 303


def test_a_device_guesses_no_more_than_an_address_may(panel: "Panel") -> None:
    panel.instance.user(Role.OWNER, "anna")
    device = device_of(sign_in(panel, "anna", PASSWORD))
    statuses = [sign_in(panel, "anna", f"guess {number}", device).status_code for number in range(20)]
    assert statuses.count(403) <= 5
    assert statuses[-1] == 429


def test_a_device_of_another_user_guesses_with_everybody_else(panel: "Panel") -> None:
    panel.instance.user(Role.OWNER, "anna")
    panel.instance.user(Role.VIEWER, "ben")
    device = device_of(sign_in(panel, "ben", PASSWORD))
    for number in range(3 * FREE_FOR_NAME):
        sign_in(panel, "anna", f"guess {number}")
    assert sign_in(panel, "anna", PASSWORD, device).status_code == 429


def test_a_proxy_before_the_panel_that_is_not_trusted_is_an_alarm(panel: "Panel") -> None:
    context = panel.instance.context
    assert context.untrusted.alarms() == ()
    panel.client.get("/panel/sign-in", headers={"x-forwarded-for": "203.0.113.9"})
    # the test client's peer has no address: it is no proxy of anybody
    assert context.untrusted.alarms() == ()
    context.untrusted.note("10.0.0.2")
    (alarm,) = context.untrusted.alarms()
    assert "the panel port" in alarm.sentence
    assert "CLICKLOOP_TRUSTED_PROXIES=10.0.0.2" in alarm.sentence
