"""The public endpoints: raw requests to a real edge process, and the contents of its journal."""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from clickloop.alarm.alarms import read_alarms
from clickloop.click_id import ClickIds
from clickloop.edge.untrusted_proxy import MIN_FORWARDED
from clickloop.setup.instance import InstanceSettings, IpStorage
from clickloop.text import unescape_bytes
from tests.edge.edge_running import KEY, EdgeProcess, cookie_of, started
from tests.journey.running import Connection, click_id_of, eventually, request_of


@pytest.fixture(scope="module")
def edge(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EdgeProcess]:
    """Return an edge reached without a proxy, over http."""
    yield from started(EdgeProcess(tmp_path_factory.mktemp("plain") / "data"))


@pytest.fixture(scope="module")
def proxied(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EdgeProcess]:
    """Return an edge behind proxies on loopback and in 10.0.0.0/8, reached over https, on a dual-stack socket."""
    folder = tmp_path_factory.mktemp("proxied") / "data"
    proxies = "127.0.0.0/8,10.0.0.0/8"
    yield from started(EdgeProcess(folder, True, trusted_proxies=proxies, public_url="https://go.example"))


@pytest.fixture(scope="module")
def behind_http(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EdgeProcess]:
    """Return an edge behind a proxy on loopback that reports whether the visitor came over https."""
    folder = tmp_path_factory.mktemp("behind") / "data"
    yield from started(EdgeProcess(folder, trusted_proxies="127.0.0.0/8"))


def test_a_click_is_recorded_with_every_field(edge: EdgeProcess) -> None:
    headers = {
        "User-Agent": "Mozilla/5.0 (iPhone; CPU iPhone OS 17_4 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) "
        "Version/17.4 Mobile/15E148 Safari/604.1",
        "Accept-Language": "pt-BR,pt;q=0.9",
        "Referer": "https://source.example/page",
    }
    click = edge.visit("external_id=w9Xk2-7fA&cost=0.0125&zone=4711&unknown=1", headers=headers)
    assert (click.campaign_id, click.source_id, click.offer_id, click.network_id) == (7, 3, 1, 5)
    assert (click.external_id, click.cost_micros, click.cost_currency, click.v1) == ("w9Xk2-7fA", 12_500, "USD", "4711")
    assert (click.device, click.os, click.os_version, click.browser) == ("mobile", "iOS", "17.4", "Mobile Safari")
    assert (click.language, click.referrer) == ("pt-br", "https://source.example/page")
    assert (click.ip, click.domain, click.unique, click.screening, click.flags) == (
        "127.0.0.1",
        "tracker.example",
        True,
        "",
        "",
    )
    assert click.target == f"https://network.example/o?sub1={click.click_id}&z=4711&x=w9Xk2-7fA"


def test_the_redirect_is_uncacheable_and_has_the_click_id(edge: EdgeProcess) -> None:
    answer = edge.ask("GET", "/c/aB3xY9?external_id=a")
    assert answer.status == 302
    assert answer.headers["cache-control"] == "no-store, max-age=0"
    assert answer.headers["content-length"] == "0"
    cookie = answer.headers["set-cookie"]
    assert cookie.startswith(f"clickloop={click_id_of(answer)}; Max-Age=7776000; Path=/; HttpOnly; SameSite=Lax")
    visitor = cookie.partition("clickloop_v=")[2]
    assert visitor.partition("; ")[2] == "Max-Age=34560000; Path=/; HttpOnly; SameSite=Lax"


def test_over_https_the_cookie_is_secure_and_sent_from_other_sites(proxied: EdgeProcess) -> None:
    assert proxied.ask("GET", "/c/aB3xY9").headers["set-cookie"].endswith("; HttpOnly; SameSite=None; Secure")


@pytest.mark.parametrize(
    ("given", "screening"),
    [
        ({"method": "HEAD"}, "head_request"),
        ({"headers": {"Sec-Purpose": "prefetch;prerender"}}, "prefetch"),
        ({"headers": {"Purpose": "prefetch"}}, "prefetch"),
        ({"headers": {"X-Moz": "prefetch"}}, "prefetch"),
        ({"headers": {"X-Purpose": "preview"}}, "prefetch"),
        ({"headers": {"User-Agent": "facebookexternalhit/1.1"}}, "preview_bot"),
        ({"headers": {"User-Agent": "TelegramBot (like TwitterBot)"}}, "preview_bot"),
        ({"headers": {"User-Agent": "WhatsApp/2.23.20.0 A"}}, "preview_bot"),
        ({"headers": {"User-Agent": "Slackbot-LinkExpanding 1.0"}}, "preview_bot"),
        ({"headers": {"User-Agent": "Mozilla/5.0 (X11; Linux x86_64) Chrome/120.0 Safari/537.36"}}, ""),
    ],
)
def test_a_click_without_a_visitor_is_redirected_and_recorded_with_the_reason(
    edge: EdgeProcess, given: dict[str, Any], screening: str
) -> None:
    assert edge.visit("external_id=a", **given).screening == screening


def test_responses_to_head_have_no_body(edge: EdgeProcess) -> None:
    with Connection(edge.port) as connection:
        for target in ("/c/aB3xY9", "/c/nobody", "/health", "/postback?cid=1", "/nowhere"):
            connection.send(request_of("HEAD", target))
            connection.answer("HEAD")
            assert connection.ask("GET", "/c/aB3xY9").status == 302, target


@pytest.mark.parametrize("header", ["X-Forwarded-For", "Forwarded", "CF-Connecting-IP", "X-Real-IP", "True-Client-IP"])
def test_an_address_claimed_by_an_untrusted_peer_is_ignored(edge: EdgeProcess, header: str) -> None:
    assert edge.visit("external_id=a", headers={header: "203.0.113.9"}).ip == "127.0.0.1"


@pytest.mark.parametrize(
    ("forwarded", "ip"),
    [
        ("8.8.8.8", "8.8.8.8"),
        ("1.1.1.1, 8.8.8.8, 10.1.2.3", "8.8.8.8"),
        ("2001:4860:4860::8888", "2001:4860:4860::8888"),
        ("8.8.8.8, nonsense, 10.1.2.3", "10.1.2.3"),
        ("203.0.113.9:51008", "203.0.113.9"),
        ('1.1.1.1, "203.0.113.9:51008", 10.1.2.3:80', "203.0.113.9"),
        ("[2001:4860:4860::8888]:443, 10.1.2.3", "2001:4860:4860::8888"),
        ("", "127.0.0.1"),
        ("10.0.0.1, 10.0.0.2", "10.0.0.1"),
        ("::ffff:8.8.8.8", "8.8.8.8"),
    ],
)
def test_behind_proxies_the_visitor_has_the_right_most_untrusted_address(
    proxied: EdgeProcess, forwarded: str, ip: str
) -> None:
    assert proxied.visit("external_id=a", headers={"X-Forwarded-For": forwarded}).ip == ip


def test_behind_a_proxy_country_host_and_scheme_are_the_visitors(proxied: EdgeProcess) -> None:
    click = proxied.visit("", headers={"X-Forwarded-For": "8.8.8.8", "X-Forwarded-Host": "Go.Example"})
    assert (click.country, click.domain) == ("US", "go.example")


@pytest.mark.parametrize(
    ("header", "value"),
    [
        ("X-Forwarded-Host", "go.example.com, inner.local"),
        ("X-Forwarded-Host", "GO.example.com.:443"),
        ("Host", "go.example.com:443"),
        ("Host", "go.example.com."),
    ],
)
def test_a_domain_is_normalized_whatever_form_proxies_send(proxied: EdgeProcess, header: str, value: str) -> None:
    assert proxied.visit("", headers={header: value}).domain == "go.example.com"


@pytest.mark.parametrize(
    ("proto", "secure"), [("https,http", True), ("https", True), ("http,https", False), ("", False)]
)
def test_the_scheme_is_the_one_nearest_to_the_visitor(behind_http: EdgeProcess, proto: str, secure: bool) -> None:
    cookie = behind_http.ask("GET", "/c/aB3xY9", {"X-Forwarded-Proto": proto}).headers["set-cookie"]
    assert cookie.endswith("SameSite=None; Secure" if secure else "SameSite=Lax")


@pytest.mark.parametrize("given", ["url=https://evil.example", "redirect=https://evil.example&target=//evil.example"])
def test_the_target_depends_on_the_set_up_only(edge: EdgeProcess, given: str) -> None:
    answer = edge.ask("GET", f"/c/aB3xY9?{given}", {"Host": "evil.example", "X-Forwarded-Host": "evil.example"})
    assert answer.headers["location"].startswith("https://network.example/o?sub1=")
    assert "evil" not in answer.headers["location"]


@pytest.mark.parametrize(
    "path",
    [
        "/c/nobody",
        "/c/",
        "/c",
        "/c/AB3XY9",
        "/c/aB3xY9%00",
        "/c/%00",
        "/c/aB3xY9x",
        "/c/aB3xY",
        "/c/aB3xY9%41",
        "/c/AB3XY9/",
        "/c/ab3xy9&external_id=x",
        "/c/nobody/?external_id=x",
        "/c/x/aB3xY9",
        "/postbacks?cid=1",
        "/postback/x?cid=1",
        "/pixel.gifs?cid=1",
        "/c/" + "x" * 10_240,
        "/<script>",
    ],
)
def test_an_unknown_path_gets_404_and_is_neither_recorded_nor_reflected(edge: EdgeProcess, path: str) -> None:
    before = edge.clicks()
    answer = edge.ask("GET", path)
    assert (answer.status, answer.body, edge.clicks()) == (404, b"There is nothing here.\n", before)


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS"])
def test_a_campaign_link_accepts_only_get_and_head(edge: EdgeProcess, method: str) -> None:
    answer = edge.ask(method, "/c/aB3xY9")
    assert (answer.status, answer.headers["allow"]) == (405, "GET, HEAD")


@pytest.mark.parametrize(
    ("query", "flags"),
    [
        ("zone=first&" + "&".join(f"p{number}={number}" for number in range(10_000)), "query_cut"),
        ("&".join(f"zone={number or 'first'}" for number in range(5_000)), "query_cut"),
        ("zone=first&x=" + "y" * 65_536, "query_cut"),
        ("zone=first&zone=second", ""),
        ("&&=&=x&zone=first&&zone", ""),
    ],
)
def test_an_excessive_query_is_truncated_and_flagged(edge: EdgeProcess, query: str, flags: str) -> None:
    click = edge.visit(query)
    assert (click.v1, click.flags) == ("first", flags)


@pytest.mark.parametrize(
    ("sent", "stored"),
    [
        (b"%", b"%"),
        (b"%zz%4", b"%zz%4"),
        (b"%C0%AF", b"\xc0\xaf"),
        (b"%ED%A0%80", b"\xed\xa0\x80"),
        (b"%00a", b"\0a"),
        (b"%0D%0AX:%20y", b"\r\nX: y"),
        ("ä".encode(), "ä".encode()),
        (b"%F4%8F%BF%BF", "\U0010ffff".encode()),
    ],
)
def test_odd_bytes_are_stored_and_passed_on_unchanged(edge: EdgeProcess, sent: bytes, stored: bytes) -> None:
    click = edge.visit(b"external_id=" + sent)
    assert unescape_bytes(click.external_id) == stored
    assert click.target.isascii()
    assert click.target.isprintable()


def test_an_external_id_of_over_1024_characters_is_truncated_and_flagged(edge: EdgeProcess) -> None:
    click = edge.visit("external_id=" + "x" * 1025)
    assert (len(click.external_id), click.flags) == (1024, "external_id_cut")


def test_an_unreadable_cost_is_flagged_and_ignored(edge: EdgeProcess) -> None:
    click = edge.visit("external_id=a&cost=NaN")
    assert (click.cost_micros, click.cost_currency, click.flags) == (0, "", "cost_unreadable")


def test_a_user_agent_of_one_megabyte_is_refused(edge: EdgeProcess) -> None:
    assert edge.ask("GET", "/c/aB3xY9", {"User-Agent": "x" * 1_000_000}).status == 431


def test_a_user_agent_is_truncated_to_1000_characters(edge: EdgeProcess) -> None:
    assert len(edge.visit("", headers={"User-Agent": "Mozilla/5.0 (" + "x" * 50_000}).useragent) == 1000


def test_a_returning_visitor_is_not_unique(edge: EdgeProcess) -> None:
    cookie = edge.ask("GET", "/c/aB3xY9").headers["set-cookie"].partition("clickloop_v=")[2].partition(";")[0]
    click = edge.visit("", headers={"Cookie": f"xclickloop=1; clickloop_v={cookie}"})
    assert (click.unique, click.known) == (False, True)


@pytest.mark.parametrize("key", ["fallbk", "nofers", "myself"])
def test_without_an_offer_the_visitor_goes_to_the_fallback_and_is_counted(edge: EdgeProcess, key: str) -> None:
    click = edge.visit("external_id=a", key=key)
    assert click.target.startswith("https://fallback.example/")
    assert (click.offer_id, click.flags, click.screening) == (0, "fallback", "")


def test_a_click_of_a_paused_campaign_without_a_fallback_is_recorded_and_gets_404(edge: EdgeProcess) -> None:
    before = edge.clicks()
    answer = edge.ask("GET", "/c/paused?external_id=a")
    assert (answer.status, edge.clicks()) == (404, before + 1)


def test_a_visitor_without_a_target_gets_no_cookie(edge: EdgeProcess) -> None:
    assert "set-cookie" not in edge.ask("GET", "/c/paused").headers


def test_a_changed_set_up_is_loaded_while_running(edge: EdgeProcess) -> None:
    edge.publish(own_hosts=("go.example",), source_id=9)
    try:
        eventually(lambda: edge.visit("external_id=a").source_id == 9)
    finally:
        edge.publish(own_hosts=("go.example",))
        eventually(lambda: edge.visit("external_id=a").source_id == 3)


def test_a_notice_is_in_the_journal_unchanged_once_it_is_answered(edge: EdgeProcess) -> None:
    click_id = ClickIds(KEY).new(1_800_000_000_000)
    headers = {"Content-Type": "application/json", "User-Agent": "Network/1"}
    answer = edge.ask("POST", f"/postback?cid={click_id}&x=%FF", headers, b'{"payout": "\xff"}')
    assert (answer.status, answer.headers["x-clickloop-outcome"]) == (200, "accepted")
    raw = edge.notices()[-1]
    assert (raw.query, unescape_bytes(raw.body)) == (f"cid={click_id}&x=%FF", b'{"payout": "\xff"}')
    assert (raw.channel, raw.method, raw.content_type, raw.useragent) == (
        "s2s",
        "POST",
        "application/json",
        "Network/1",
    )


def test_the_pixel_is_a_transparent_gif_that_is_never_cached(edge: EdgeProcess) -> None:
    answer = edge.ask("GET", "/pixel.gif?payout=1", {"Cookie": "clickloop=none"})
    assert answer.status == 200
    assert answer.headers["content-type"] == "image/gif"
    assert answer.headers["cache-control"] == "no-store, max-age=0"
    assert answer.headers["x-clickloop-outcome"] == "refused; reason=malformed_click_id"
    gif = answer.body
    assert (len(gif), gif[:6], gif[6:10], gif[-1:]) == (42, b"GIF89a", b"\x01\x00\x01\x00", b";")
    assert b"\x21\xf9\x04\x01" in gif  # a graphic control extension with a transparent colour
    assert edge.notices()[-1].cookie_click_id == "none"


def test_the_s2s_endpoint_ignores_cookies(edge: EdgeProcess) -> None:
    answer = edge.ask("GET", "/postback", {"Cookie": f"clickloop={ClickIds(KEY).new(1_800_000_000_000)}"})
    assert answer.headers["x-clickloop-outcome"] == "refused; reason=no_click_id"


@pytest.mark.parametrize(("path", "allow"), [("/postback", "GET, HEAD, POST"), ("/pixel.gif", "GET, HEAD")])
def test_other_methods_get_405_with_the_allowed_ones(edge: EdgeProcess, path: str, allow: str) -> None:
    before = len(edge.notices())
    answer = edge.ask("PUT", path)
    assert (answer.status, answer.headers["allow"], len(edge.notices())) == (405, allow, before)


def test_health_shows_lag_free_disk_and_the_number_of_alarms_only(edge: EdgeProcess) -> None:
    answer = edge.ask("GET", "/health")
    health = json.loads(answer.body)
    assert (answer.status, answer.headers["content-type"]) == (200, "application/json")
    assert health["status"] in ("ok", "degraded")
    assert health["free_disk_bytes"] > 0
    assert health["journal_lag_segments"] >= 0
    assert {name for name, value in health.items() if not isinstance(value, int | float)} == {"status"}
    assert "campaigns" not in health


def test_an_untrusted_proxy_raises_an_alarm_that_names_it_and_the_setting(edge: EdgeProcess) -> None:
    edge.visit(headers={"X-Forwarded-For": "203.0.113.9"})

    def sentences() -> list[str]:
        return [alarm.sentence for alarm in read_alarms(edge.folder) if alarm.code == "untrusted_proxy"]

    eventually(sentences)
    (sentence,) = sentences()
    assert sentence.startswith("127.0.0.1 sends X-Forwarded-For to the public port")
    assert "CLICKLOOP_TRUSTED_PROXIES=127.0.0.1" in sentence
    assert json.loads(edge.ask("GET", "/health").body)["status"] == "degraded"


def test_a_proxy_in_front_of_the_trusted_one_raises_an_alarm_that_names_it_and_the_setting(
    behind_http: EdgeProcess,
) -> None:
    for number in range(2 * MIN_FORWARDED):
        behind_http.visit(headers={"X-Forwarded-For": f"203.0.113.{number % 250}, 172.68.0.1"})

    def sentences() -> list[str]:
        return [alarm.sentence for alarm in read_alarms(behind_http.folder) if alarm.code == "untrusted_proxy"]

    eventually(sentences)
    (sentence,) = sentences()
    assert "172.68.0.1 for one" in sentence
    assert "CLICKLOOP_TRUSTED_PROXIES" in sentence


@pytest.mark.parametrize(
    ("storage", "stored"), [(IpStorage.FULL, "127.0.0.1"), (IpStorage.SHORTENED, "127.0.0.0"), (IpStorage.NONE, "")]
)
def test_the_journal_has_only_the_part_of_an_address_that_may_be_stored(
    settable: EdgeProcess, storage: IpStorage, stored: str
) -> None:
    settable.publish(instance=InstanceSettings(public_url="http://go.example", ip_storage=storage))
    eventually(lambda: settable.visit().ip == stored)
    settable.ask("GET", "/pixel.gif?payout=1")
    assert settable.notices()[-1].ip == stored
    settable.ask("GET", "/postback?payout=1")
    assert settable.notices()[-1].ip == "127.0.0.1"  # a network's server is no visitor


def test_saved_instance_settings_apply_without_a_restart(settable: EdgeProcess) -> None:
    def place() -> str | None:
        return settable.ask("GET", "/c/paused").headers.get("location")

    settable.publish()
    eventually(lambda: place() == "https://started.example/")
    instance = InstanceSettings(public_url="https://go.example", fallback_url="https://saved.example/", currency="EUR")
    settable.publish(instance=instance)
    eventually(lambda: place() == "https://saved.example/")
    answer = settable.ask("GET", "/c/aB3xY9?cost=3")
    assert "Secure" in answer.headers["set-cookie"]
    assert settable.click(cookie_of(answer)).cost_currency == "EUR"


@pytest.fixture(scope="module")
def settable(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EdgeProcess]:
    """Return an edge, started with a fallback URL, whose instance settings change."""
    folder = tmp_path_factory.mktemp("settable") / "data"
    yield from started(EdgeProcess(folder, fallback_url="https://started.example/"))
