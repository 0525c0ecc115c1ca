"""Headers of trusted proxies, in every form they use."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clickloop.config import proxy_networks
from clickloop.edge.proxies import Hosts, Proxies, address_in, client_behind, first_of, host_of

PROXIES = Proxies(proxy_networks("10.0.0.0/8, 2001:db8:ffff::/48"))


@pytest.mark.parametrize(
    ("part", "address"),
    [
        (b"203.0.113.9", "203.0.113.9"),
        (b" 203.0.113.9:51008 ", "203.0.113.9"),
        (b'"203.0.113.9"', "203.0.113.9"),
        (b'"203.0.113.9:51008"', "203.0.113.9"),
        (b"2001:db8::1", "2001:db8::1"),
        (b"2001:DB8::1", "2001:db8::1"),
        (b"[2001:db8::1]", "2001:db8::1"),
        (b"[2001:db8::1]:443", "2001:db8::1"),
        (b'"[2001:db8::1]:4711"', "2001:db8::1"),
        (b"::ffff:203.0.113.9", "203.0.113.9"),
        (b"[::ffff:203.0.113.9]:80", "203.0.113.9"),
        (b"fe80::1%eth0", "fe80::1"),
        (b"[fe80::1%25eth0]:80", "fe80::1"),
    ],
)
def test_an_address_is_parsed_without_the_decoration_of_gateways(part: bytes, address: str) -> None:
    assert address_in(part) == address


@pytest.mark.parametrize(
    "part",
    [
        b"",
        b"unknown",
        b"_hidden",
        b"203.0.113.9:",
        b"203.0.113.9:x",
        b"203.0.113.9:123456",
        b"[2001:db8::1]x",
        *[b"1.2.3", b"1.2.3.4.5", b"\xff", b"0x7f.1", b"203.0.113.9:80:80", b"[]", b'""', b"a" * 60_000],
    ],
)
def test_an_invalid_address_is_none(part: bytes) -> None:
    assert address_in(part) is None


@pytest.mark.parametrize(
    ("forwarded", "client"),
    [
        (b"203.0.113.9:51008", "203.0.113.9"),
        (b"1.1.1.1, 203.0.113.9:51008, 10.0.0.1", "203.0.113.9"),
        (b'1.1.1.1, "203.0.113.9", 10.0.0.1:80', "203.0.113.9"),
        (b"1.1.1.1, [2001:db8::1]:443, 10.0.0.1", "2001:db8::1"),
        (b"1.1.1.1,[2001:db8::1]:443,[2001:db8:ffff::1]:80", "2001:db8::1"),
        (b"203.0.113.9, unknown, 10.0.0.1", "10.0.0.1"),
        (b"10.0.0.1:1, 10.0.0.2:2", "10.0.0.1"),
        (b"", "10.9.9.9"),
        (b"8.8.8.8," + b"10.0.0.1," * 40 + b"10.0.0.2", "8.8.8.8"),
        (b"8.8.8.8," + b"10.0.0.1," * 5_000 + b"10.0.0.2", "10.0.0.1"),
        (b"," * 60_000, "10.9.9.9"),
    ],
)
def test_the_client_is_the_right_most_address_that_is_not_trusted(forwarded: bytes, client: str) -> None:
    assert client_behind(forwarded, "10.9.9.9", PROXIES.trust) == client


@pytest.mark.parametrize(
    ("header", "host"),
    [
        (b"go.example.com", "go.example.com"),
        (b"Go.Example.COM", "go.example.com"),
        (b"go.example.com:443", "go.example.com"),
        (b"go.example.com:80", "go.example.com"),
        (b"go.example.com:8443", "go.example.com:8443"),
        (b"go.example.com.", "go.example.com"),
        (b"go.example.com.:443", "go.example.com"),
        (b"go.example.com.:8443", "go.example.com:8443"),
        (b"go.example.com, inner.local", "go.example.com"),
        (b" go.example.com:443 , inner.local:80", "go.example.com"),
        (b"[2001:db8::1]:443", "[2001:db8::1]"),
        (b"[2001:db8::1]", "[2001:db8::1]"),
        (b"[2001:db8::80]", "[2001:db8::80]"),
        (b"203.0.113.9:80", "203.0.113.9"),
        (b"", ""),
        (b"a" * 60_000, "a" * 253),
        (b"." * 300, ""),
    ],
)
def test_a_host_is_normalized(header: bytes, host: str) -> None:
    assert host_of(header) == host


def test_the_cache_of_hosts_is_bounded() -> None:
    hosts = Hosts()
    for number in range(3_000):
        assert hosts(b"h%d.example" % number) == f"h{number}.example"
    assert len(hosts._known) <= 1_000


@pytest.mark.parametrize(
    ("header", "first"),
    [(b"https", b"https"), (b"https,http", b"https"), (b" https , http", b"https"), (b'"https"', b"https"), (b"", b"")],
)
def test_the_first_element_of_a_list_is_nearest_to_the_visitor(header: bytes, first: bytes) -> None:
    assert first_of(header) == first


@given(st.binary(max_size=200))
def test_no_bytes_raise(header: bytes) -> None:
    client_behind(header, "10.9.9.9", PROXIES.trust)
    host_of(header)
    first_of(header)
