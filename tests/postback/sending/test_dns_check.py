"""The DNS check of dry runs: what it reports, and how long unresponsive name servers delay it."""

import socket
import threading
from collections.abc import Sequence

import pytest

from clickloop.postback.sending.address_guard import STRICT
from clickloop.postback.sending.dns_check import SILENT_SECONDS, TargetLookup
from clickloop.postback.sending.target import RequestTarget

HERE = RequestTarget("http", "here.example", 80, "/", "")


def leading_to(*addresses: str) -> TargetLookup:
    def look_up(_host: str, family: int) -> Sequence[str]:
        found = [one for one in addresses if (":" in one) == (family == socket.AF_INET6)]
        if not found:
            raise socket.gaierror(socket.EAI_NONAME, "no such name")
        return found

    return TargetLookup(STRICT, look_up)


def test_a_name_with_only_refused_addresses_is_reported() -> None:
    told = leading_to("127.0.0.1", "::1").dns_refusal(HERE)
    assert told.startswith("here.example only has refused addresses: 127.0.0.1")


@pytest.mark.parametrize("addresses", [("127.0.0.1", "1.1.1.1"), ("2606:4700::1111",), ()])
def test_a_name_with_an_allowed_address_or_none_is_not_reported(addresses: tuple[str, ...]) -> None:
    assert leading_to(*addresses).dns_refusal(HERE) == ""


def test_an_address_is_not_looked_up() -> None:
    assert leading_to("127.0.0.1").dns_refusal(RequestTarget("http", "1.1.1.1", 80, "/", "")) == ""


def test_unresponsive_name_servers_are_queried_once_and_then_not_for_a_while() -> None:
    asked: list[str] = []
    now = 0.0

    answer = threading.Event()

    def look_up(host: str, _family: int) -> Sequence[str]:
        asked.append(host)
        answer.wait()
        return []

    looking = TargetLookup(STRICT, look_up, lambda: now, patience_seconds=0.05)
    assert looking.dns_refusal(HERE) == ""
    assert looking.dns_refusal(HERE) == ""
    assert len(asked) == 1
    now += SILENT_SECONDS + 1
    looking.dns_refusal(HERE)
    assert len(asked) == 2
    answer.set()
