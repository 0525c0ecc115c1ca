"""An edge's /health returns ok, degraded or failing; it is current, and contains no names."""

import os
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import msgspec
import pytest

from clickloop.alarm.alarms import Alarms, disk_alarms, read_alarms
from clickloop.alarm.heartbeat import Heartbeat
from clickloop.alarm.vital_signs import Patience, VitalSigns
from clickloop.edge.untrusted_proxy import (
    MAX_PEERS,
    MIN_FORWARDED,
    MIN_FROM_PUBLIC,
    REMEMBERED_SECONDS,
    UntrustedProxies,
)
from clickloop.edge.vitals import CURRENT_MS, EdgeVitals, Health
from clickloop.store.disk_reserve import DiskReserve

NOW = 1_772_366_400_000


class Watched:
    """The vitals of one edge under clocks of our own."""

    def __init__(self, folder: Path, name: str = "edge1") -> None:
        self.folder = folder
        self.now = 0.0
        self.requests = 0
        self.edge: Any
        self.edge = SimpleNamespace(unrecorded=0, unstored=0, clock=lambda: NOW + round(self.now * 1000))
        self.proxies = UntrustedProxies("public", lambda: self.requests, lambda: self.now)
        signs = VitalSigns(folder, Patience(), lambda: self.now, self.edge.clock)
        self.vitals = EdgeVitals(folder, name, self.edge, signs, self.proxies, DiskReserve(folder / "reserve", 0))

    def health(self) -> Health:
        self.vitals.watch()
        return self.vitals.health()


@pytest.fixture
def watched(tmp_path: Path) -> Watched:
    if disk_alarms(tmp_path):
        pytest.fail("The disk of the tests is nearly full: these tests need one that is not.")
    return Watched(tmp_path)


def test_without_alarms_it_is_ok(watched: Watched) -> None:
    health = watched.health()
    assert (health.status, health.alarms) == ("ok", 0)


def test_alarms_of_the_core_degrade_it_and_are_counted_but_not_told(watched: Watched) -> None:
    Alarms(watched.folder).report("paused", ["receiver 127.0.0.1:18119 is paused: 220 postbacks wait"])
    health = watched.health()
    assert (health.status, health.alarms) == ("degraded", 1)
    assert b"18119" not in msgspec.json.encode(health)


def test_a_folder_that_was_moved_away_degrades_it_and_is_answered_all_the_same(
    watched: Watched, tmp_path: Path
) -> None:
    assert watched.health().status == "ok"
    tmp_path.rename(tmp_path.with_name("moved"))
    health = watched.health()
    assert (health.status, health.free_disk_bytes) == ("degraded", 0)
    tmp_path.with_name("moved").rename(tmp_path)
    assert watched.health().status == "ok"


def test_a_core_that_is_dead_degrades_it(watched: Watched) -> None:
    watched.now = 31.0
    health = watched.health()
    assert (health.status, health.alarms) == ("degraded", 1)
    heart = Heartbeat(watched.folder, "core")
    heart.beat()
    heart.close()
    assert watched.health().status == "ok"


@pytest.mark.parametrize("what", ["unrecorded", "unstored"])
def test_what_is_lost_now_is_failing_at_every_edge_and_a_minute_later_it_is_over(watched: Watched, what: str) -> None:
    other = Watched(watched.folder, "edge2")
    assert watched.health().status == "ok"
    setattr(watched.edge, what, 3)
    assert watched.vitals.health().status == "failing"
    watched.vitals.watch()
    assert other.health().status == "failing"
    assert [alarm.sentence.split()[0] for alarm in read_alarms(watched.folder, NOW)] == ["3"]
    other.now = watched.now = CURRENT_MS / 1000 - 1
    os.utime(watched.folder / "run" / "heartbeat.edge1")
    assert watched.vitals.health().status == "failing"
    other.now = watched.now = CURRENT_MS / 1000
    assert {one.status for one in (watched.health(), other.health())} == {"degraded"}  # there is no core


def test_a_second_run_of_losses_is_counted_anew(watched: Watched) -> None:
    watched.edge.unrecorded = 3
    watched.health()
    watched.now = 100.0
    watched.health()
    watched.edge.unrecorded = 5
    watched.health()
    (alarm,) = read_alarms(watched.folder, watched.edge.clock())
    assert alarm.sentence.startswith("2 visitors")


def test_an_edge_that_died_while_it_was_losing_does_not_fail_for_ever(watched: Watched) -> None:
    watched.edge.unrecorded = 1
    watched.vitals.watch()
    other = Watched(watched.folder, "edge2")
    assert other.health().status == "failing"
    other.now = CURRENT_MS / 1000 + 1
    assert other.health().status != "failing"


@pytest.mark.parametrize("peer", ["127.0.0.1", "10.0.0.5", "172.17.0.1", "192.168.1.1", "fd00::1", "::1", "100.64.0.1"])
def test_a_forwarding_peer_in_our_own_network_is_an_alarm_at_once(watched: Watched, peer: str) -> None:
    watched.proxies.note(peer)
    (alarm,) = watched.proxies.alarms()
    assert f"CLICKLOOP_TRUSTED_PROXIES={peer} " in alarm.sentence
    watched.now = REMEMBERED_SECONDS
    assert watched.proxies.alarms() == ()


def test_a_stranger_who_sends_the_header_is_no_alarm_unless_all_comes_through_him(watched: Watched) -> None:
    for _ in range(MIN_FROM_PUBLIC * 2):
        watched.requests += 3
        watched.proxies.note("93.184.216.34")
    assert watched.proxies.alarms() == ()
    for _ in range(MIN_FROM_PUBLIC * 10):
        watched.requests += 1
        watched.proxies.note("93.184.216.34")
    assert len(watched.proxies.alarms()) == 1


def test_a_trusted_proxy_that_tells_no_addresses_is_an_alarm(watched: Watched) -> None:
    for _ in range(MIN_FORWARDED - 1):
        watched.proxies.note_trusted("127.0.0.1", b"", "127.0.0.1")
    assert watched.proxies.alarms() == ()
    watched.proxies.note_trusted("127.0.0.1", b"", "127.0.0.1")
    (alarm,) = watched.proxies.alarms()
    assert alarm.code == "silent_proxy"
    assert alarm.sentence.startswith("127.0.0.1 is a trusted proxy and sends no X-Forwarded-For to the public port")


def test_a_proxy_before_the_trusted_one_that_is_not_trusted_is_an_alarm(watched: Watched) -> None:
    for number in range(MIN_FORWARDED):
        watched.proxies.note_trusted("127.0.0.1", b"203.0.113.%d, 172.68.0.1" % number, "172.68.0.1")
    (alarm,) = watched.proxies.alarms()
    assert alarm.code == "untrusted_proxy"
    assert "172.68.0.1 for one" in alarm.sentence
    assert "CLICKLOOP_TRUSTED_PROXIES" in alarm.sentence


@pytest.mark.parametrize(
    ("forwarded_for", "client"),
    [
        (b"203.0.113.9", "203.0.113.9"),
        (b"203.0.113.9, 172.68.0.1", "203.0.113.9"),
        (b"2001:DB8::9, 172.68.0.1", "2001:db8::9"),
        (b"203.0.113.9:51008, 172.68.0.1", "203.0.113.9"),
        (b'"[2001:db8::9]:4711", 172.68.0.1', "2001:db8::9"),
    ],
)
def test_a_chain_that_leads_to_the_visitor_is_no_alarm(watched: Watched, forwarded_for: bytes, client: str) -> None:
    for _ in range(2 * MIN_FORWARDED):
        watched.proxies.note_trusted("127.0.0.1", forwarded_for, client)
    assert watched.proxies.alarms() == ()


def test_some_visitors_with_proxies_of_their_own_are_no_alarm_and_what_was_corrected_is_forgotten(
    watched: Watched,
) -> None:
    for _ in range(10 * MIN_FORWARDED):
        watched.proxies.note_trusted("127.0.0.1", b"", "127.0.0.1")
    assert len(watched.proxies.alarms()) == 1
    for number in range(30 * MIN_FORWARDED):
        forged = b"192.0.2.1, 203.0.113.9" if number % 3 == 0 else b"203.0.113.9"
        watched.proxies.note_trusted("127.0.0.1", forged, "203.0.113.9")
    assert watched.proxies.alarms() == ()


def test_strangers_cannot_fill_the_memory_nor_hide_a_proxy_of_ours(watched: Watched) -> None:
    for number in range(MAX_PEERS * 3):
        watched.proxies.note(f"93.184.{number >> 8}.{number & 255}")
    watched.proxies.note("10.0.0.5")
    assert len(watched.proxies._peers) == MAX_PEERS + 1
    assert len(watched.proxies.alarms()) == 1
