"""The address guard: a corpus of hosts, the operator's allowances, and the tracker's own addresses."""

import ipaddress
import socket
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from clickloop.config import SettingError, Settings, networks_of, ports_of, read_settings
from clickloop.postback.checking import RuleFault, check_request
from clickloop.postback.rule import RequestTemplate
from clickloop.postback.sending.address_guard import (
    STRICT,
    AddressGuard,
    Allowed,
    Judgement,
    ListenAddress,
    Policy,
    RefusedAddress,
    judge,
    judge_target,
    policy_of,
)
from clickloop.postback.sending.address_ranges import BLOCKS, SERVICE_PORTS, AddressRefusal, packed_address
from clickloop.postback.sending.target import RequestTarget, target_of
from tests.postback.sending.corpus import ALLOWED, SERVICE_PORT, UNREADABLE, Row, read_corpus

CORPUS = read_corpus()
REFUSED = [row for row in CORPUS if row.verdict != ALLOWED]
NEIGHBOURS = [row for row in CORPUS if row.verdict == ALLOWED]


def policy(networks: str = "", ports: str = "", **own: Any) -> Policy:
    return Policy(networks_of(networks, "networks"), ports_of(ports, "ports"), **own)


def reason_of(judgement: Judgement) -> AddressRefusal | None:
    return judgement.reason if isinstance(judgement, RefusedAddress) else None


def target(url: str) -> RequestTarget:
    found = target_of(url)
    assert isinstance(found, RequestTarget)
    return found


def verdict(row: Row) -> str:
    """Return the verdict of parser and guard on a row, in the corpus's words."""
    found = target_of(row.url)
    if not isinstance(found, RequestTarget):
        return UNREADABLE
    return reason_of(STRICT.judge_target(found)) or ALLOWED


def test_the_corpus_is_as_large_as_promised_and_has_every_reason() -> None:
    assert len(REFUSED) >= 400
    assert sum(row.address is not None and row.verdict != SERVICE_PORT for row in REFUSED) >= 300
    assert len(NEIGHBOURS) >= 90
    assert {row.verdict for row in CORPUS} == {*AddressRefusal, UNREADABLE, ALLOWED} - {
        AddressRefusal.OWN,
        AddressRefusal.NOT_AN_ADDRESS,
    }


def test_every_row_of_the_corpus_is_judged_as_it_says() -> None:
    assert [(row, verdict(row)) for row in CORPUS if verdict(row) != row.verdict] == []


def test_every_refused_row_is_refused_when_it_is_saved() -> None:
    """The code says what is wrong; the parser rejects an invalid host as whatever it looks like.

    So is an invisible character, which saving refuses before anybody asks where the host leads.
    """
    expected = {SERVICE_PORT: {RuleFault.URL_PORT_REFUSED}, UNREADABLE: {f for f in RuleFault if "URL" in f.name}}
    wrong = []
    for row in REFUSED:
        found = {one.fault for one in check_request(RequestTemplate(url=row.url))}
        wanted = expected.get(row.verdict, {RuleFault.URL_ADDRESS_REFUSED})
        if not row.authority.isprintable():
            wanted = wanted | {RuleFault.URL_CHARACTER}
        if len(found) != 1 or not found <= wanted:
            wrong.append((row, found))

    assert wrong == []


def test_no_allowed_neighbor_is_refused_when_it_is_saved_or_dialed() -> None:
    refused = [row for row in NEIGHBOURS if check_request(RequestTemplate(url=row.url))]
    refused += [
        row for row in NEIGHBOURS if row.address and judge(row.address, target(row.url).port, Policy()) != Allowed()
    ]

    assert refused == []


@pytest.mark.parametrize("block", BLOCKS, ids=lambda block: str(block.network))
def test_every_block_names_its_source_and_the_corpus_contains_an_address_of_it(block: Any) -> None:
    addresses = [packed_address(row.address) for row in REFUSED if row.address]

    assert block.source
    assert any(block.covers(address) for address in addresses if address)


@given(st.ip_addresses(v=4))
@example(ipaddress.ip_address("192.88.99.1"))
def test_an_allowed_address_is_global_by_pythons_table_too(address: ipaddress.IPv4Address) -> None:
    judgement = judge(str(address), 443, Policy())

    if isinstance(judgement, Allowed):
        assert address.is_global
        assert not address.is_multicast
        assert not address.is_reserved


@given(st.ip_addresses(v=6))
def test_no_ipv6_address_outside_of_the_internets_part_is_allowed(address: ipaddress.IPv6Address) -> None:
    judgement = judge(address.packed, 443, Policy())

    if isinstance(judgement, Allowed):
        assert address in ipaddress.ip_network("2000::/3")
        assert address.is_global


_PIECES = st.sampled_from(
    ["127", "0x7f", "0177", "1", "0", "2130706433", "256", "08", "0x", "a", "１", "０x7f", "٣", "00"]
)


@given(st.lists(_PIECES, min_size=1, max_size=5).map(".".join), st.sampled_from(["", "."]))
def test_what_a_c_library_reads_as_an_address_is_normalized_or_rejected(host: str, dot: str) -> None:
    found = target_of(f"http://{host}{dot}/")

    if isinstance(found, RequestTarget):
        try:
            read = socket.inet_aton(found.host)
        except OSError:
            return
        assert socket.inet_ntoa(read) == found.host


@given(st.text(max_size=40))
def test_any_text_as_a_host_is_read_without_an_exception_and_judged(host: str) -> None:
    found = target_of(f"http://{host}/")

    if isinstance(found, RequestTarget):
        assert found.host.isascii()
        judge_target(found, Policy())


@given(st.one_of(st.binary(max_size=20), st.text(max_size=50)))
def test_a_text_that_is_not_an_address_is_refused(given: bytes | str) -> None:
    judgement = judge(given, 443, Policy())

    if isinstance(judgement, Allowed):
        ipaddress.ip_address(given)


@pytest.mark.parametrize("given", ["", "localhost", "127.1", "fe80::1%lo", "1.1.1.1\0", "１.1.1.1", b"", b"12345"])
def test_a_text_in_another_notation_is_not_an_address(given: str | bytes) -> None:
    assert reason_of(judge(given, 443, Policy())) is AddressRefusal.NOT_AN_ADDRESS


@pytest.mark.parametrize("reason", AddressRefusal)
def test_every_reason_has_a_sentence_that_says_how_to_allow_it_if_it_can_be(reason: AddressRefusal) -> None:
    sentence = RefusedAddress(reason, "it", "a block").sentence

    assert sentence.startswith(f"it {reason.sentence} (a block).")
    assert ("CLICKLOOP_ALLOWED_" in sentence) == (reason not in (AddressRefusal.OWN, AddressRefusal.NOT_AN_ADDRESS))


def test_a_newcomers_receiver_on_loopback_is_refused_with_the_setting_that_allows_it() -> None:
    (found,) = check_request(RequestTemplate(url="http://127.0.0.1:9000/"))

    assert "127.0.0.1" in found.sentence
    assert "CLICKLOOP_ALLOWED_ADDRESSES=127.0.0.0/8" in found.sentence


@pytest.mark.parametrize(
    ("networks", "url", "refused"),
    [
        ("127.0.0.0/8", "http://127.0.0.1:9000/", None),
        ("127.0.0.0/8", "http://localhost:9000/", None),
        ("::1/128", "http://localhost:9000/", None),
        ("10.0.0.0/8", "http://localhost:9000/", AddressRefusal.LOOPBACK),
        ("10.0.0.0/8", "http://10.1.2.3/", None),
        ("10.0.0.0/8", "http://crm.internal/", None),
        ("10.0.0.0/8", "http://192.168.0.1/", AddressRefusal.PRIVATE),
        ("127.0.0.0/8", "http://[::ffff:127.0.0.1]/", AddressRefusal.DISGUISED),
        ("::ffff:0:0/96", "http://[::ffff:127.0.0.1]/", AddressRefusal.DISGUISED),
        ("::ffff:0:0/96,127.0.0.0/8", "http://[::ffff:127.0.0.1]/", None),
        ("64:ff9b::/96", "http://[64:ff9b::8.8.8.8]/", None),
        ("64:ff9b::/96", "http://[64:ff9b::10.0.0.1]/", AddressRefusal.DISGUISED),
        ("64:ff9b::/96,0.0.0.0/0", "http://[64:ff9b::169.254.169.254]/", AddressRefusal.DISGUISED),
        ("::/0", "http://[2002:7f00:1::1]/", AddressRefusal.DISGUISED),
        ("127.0.0.0/8", "http://127.0.0.1:6379/", AddressRefusal.SERVICE_PORT),
        ("127.0.0.0/8", "http://localhost:6379/", AddressRefusal.SERVICE_PORT),
    ],
)
def test_an_allowance_opens_its_network_and_no_embedded_addresses(
    networks: str, url: str, refused: AddressRefusal | None
) -> None:
    assert reason_of(judge_target(target(url), policy(networks))) is refused


METADATA = [block for block in BLOCKS if block.reason is AddressRefusal.METADATA]


@pytest.mark.parametrize("block", METADATA, ids=lambda block: str(block.network))
def test_a_metadata_address_is_refused_unless_it_is_allowed_exactly(block: Any) -> None:
    address = str(block.network.network_address)

    assert reason_of(judge(address, 80, policy("0.0.0.0/0,::/0"))) is AddressRefusal.METADATA
    assert judge(address, 80, policy(address)) == Allowed()


def test_a_metadata_name_is_refused_unless_a_metadata_address_is_allowed_exactly() -> None:
    named = target("http://metadata.google.internal/")

    assert reason_of(judge_target(named, policy("169.254.0.0/16"))) is AddressRefusal.METADATA
    assert judge_target(named, policy("169.254.169.254")) == Allowed()


@pytest.mark.parametrize("port", sorted(SERVICE_PORTS))
def test_the_port_of_a_known_service_is_refused_unless_the_operator_allows_it(port: int) -> None:
    assert reason_of(judge("8.8.8.8", port, Policy())) is AddressRefusal.SERVICE_PORT
    assert judge("8.8.8.8", port, policy(ports=f"80, {port}")) == Allowed()


LISTENING = policy(
    "0.0.0.0/0,::/0", own_listens=(ListenAddress(bytes([127, 0, 0, 1]), 8080), ListenAddress(bytes(4), 8081))
)


@pytest.mark.parametrize(
    ("address", "port", "own"),
    [
        ("127.0.0.1", 8080, True),
        ("0.0.0.0", 8080, True),
        ("::", 8080, True),
        ("127.0.0.2", 8080, False),
        ("127.0.0.1", 8082, False),
        ("127.0.0.2", 8081, True),
        ("::1", 8081, True),
        ("0.0.0.0", 8081, True),
        ("10.0.0.1", 8082, False),
    ],
)
def test_our_own_listen_address_is_refused_whatever_is_allowed(address: str, port: int, own: bool) -> None:
    assert (reason_of(judge(address, port, LISTENING)) is AddressRefusal.OWN) is own


@pytest.mark.parametrize("url", ["https://track.example/c/x", "http://TRACK.example.:81/", "http://go.example:8080/"])
def test_our_own_host_is_refused_by_its_name(url: str) -> None:
    own = policy(own_hosts=frozenset(("track.example", "go.example:8080")))

    assert reason_of(judge_target(target(url), own)) is AddressRefusal.OWN
    assert judge_target(target("http://go.example:8081/"), own) == Allowed()


def test_a_guard_judges_by_its_policy_every_time() -> None:
    guard = AddressGuard(policy("10.0.0.0/8"))

    for _ in range(2):
        assert guard.judge("10.0.0.1", 80) == Allowed()
        assert reason_of(guard.judge("192.168.0.1", 80)) is AddressRefusal.PRIVATE
        assert guard.judge_target(target("http://10.0.0.1/a")) == Allowed()
        assert guard.judge_target(target_of("gopher://a/")) == Allowed()


def test_the_settings_become_the_policy() -> None:
    given = {"LISTEN": "0.0.0.0:80", "PANEL_LISTEN": "[::1]:8081", "PUBLIC_URL": "https://GO.example"}
    given |= {"ALLOWED_ADDRESSES": "127.0.0.0/8, 10.1.2.3", "ALLOWED_PORTS": "25,8500"}
    settings = read_settings({f"CLICKLOOP_{name}": value for name, value in given.items()})

    found = policy_of(settings)

    assert [str(network) for network in found.allowed_networks] == ["127.0.0.0/8", "10.1.2.3/32"]
    assert found.allowed_ports == {25, 8500}
    assert found.own_hosts == {"0.0.0.0:80", "[::1]:8081", "go.example"}
    assert found.own_listens == (ListenAddress(bytes(4), 80), ListenAddress(bytes(15) + b"\1", 8081))
    assert policy_of(Settings()).allowed_networks == ()


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("allowed_addresses", "127.0.0.1/8"),
        ("allowed_addresses", "localhost"),
        ("allowed_ports", "http"),
        ("allowed_ports", "0"),
        ("allowed_ports", "65536"),
        ("allowed_ports", "80-90"),
        ("allowed_ports", "8０"),
    ],
)
def test_an_invalid_allowance_is_refused_with_its_setting(name: str, text: str) -> None:
    with pytest.raises(SettingError, match=name):
        read_settings({}, **{name: text})
