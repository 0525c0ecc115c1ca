"""Passwords are hashed in separate threads: guessing blocks nothing else, and known devices still get in."""

import asyncio
import dataclasses
import http.client
import secrets
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import TYPE_CHECKING, Literal
from urllib.parse import urlencode

import argon2
import pytest
import uvicorn
from litestar.exceptions import HTTPException

from clickloop.edge.open_connections import ConnectionLimits
from clickloop.people.devices import Devices
from clickloop.people.password_threads import MAX_WAITING, RESERVED_FOR_KNOWN, THREADS, PasswordThreads
from clickloop.people.passwords import Passwords
from clickloop.people.user import Role
from clickloop.saving.access import Access
from clickloop.web.api.context import ApiContext
from clickloop.web.long_work import LONG_WORK
from clickloop.web.panel.people.sign_in import DEVICE_COOKIE
from clickloop.web.panel_port import PanelConnections
from clickloop.web.site import create_site
from tests.journey.running import eventually
from tests.web.conftest import PASSWORD, SECRET

if TYPE_CHECKING:
    from tests.web.conftest import Instance

FOR_STRANGERS = THREADS + MAX_WAITING - RESERVED_FOR_KNOWN


class Gate:
    """Work that starts and then waits to be released."""

    def __init__(self) -> None:
        self.begun = threading.Semaphore(0)
        self.go_on = threading.Event()
        self.order: list[str] = []

    def work(self, name: str = "") -> str:
        """Wait for ``go_on``."""
        self.begun.release()
        assert self.go_on.wait(30)
        self.order.append(name)
        return name


class GatedHasher(argon2.PasswordHasher):
    """Argon2id with cheap parameters that starts to verify and waits to be released."""

    def __init__(self) -> None:
        super().__init__(time_cost=1, memory_cost=8, parallelism=1)
        self.gate = Gate()

    def verify(self, hash: str | bytes, password: str | bytes) -> Literal[True]:  # noqa: A002 – its name in the library
        self.gate.work()
        return super().verify(hash, password)


def test_unknown_devices_get_six_places_and_known_ones_the_last_two_and_go_first() -> None:
    async def run() -> None:
        gate, threads = Gate(), PasswordThreads(threads=1)  # one, so that the order is sure
        count = 1 + MAX_WAITING - RESERVED_FOR_KNOWN
        tasks = [asyncio.create_task(threads.run(gate.work, f"stranger{number}")) for number in range(count)]
        await asyncio.sleep(0)
        with pytest.raises(HTTPException) as refused:
            await threads.run(gate.work, "one stranger more")
        assert (refused.value.status_code, (refused.value.headers or {})["Retry-After"]) == (503, "2")
        known = [asyncio.create_task(threads.run(gate.work, name, device=name)) for name in ("phone", "laptop")]
        await asyncio.sleep(0)
        with pytest.raises(HTTPException):
            await threads.run(gate.work, "a third device", device="a third device")
        gate.go_on.set()
        assert await asyncio.gather(*known) == ["phone", "laptop"]
        await asyncio.gather(*tasks)
        assert gate.order[:3] == ["stranger0", "phone", "laptop"]
        assert await threads.run(gate.work, "later") == "later"

    asyncio.run(run())


def test_a_known_device_takes_one_reserved_place() -> None:
    async def run() -> None:
        gate, threads = Gate(), PasswordThreads()
        tasks = [asyncio.create_task(threads.run(gate.work)) for _ in range(FOR_STRANGERS)]
        tasks.append(asyncio.create_task(threads.run(gate.work, device="phone")))
        await asyncio.sleep(0)
        with pytest.raises(HTTPException):
            await threads.run(gate.work, device="phone")
        gate.go_on.set()
        await asyncio.gather(*tasks)

    asyncio.run(run())


def test_cancelling_frees_the_place_and_an_error_frees_the_thread() -> None:
    async def run() -> None:
        gate, threads = Gate(), PasswordThreads(threads=1, waiting=1, reserved=0)
        working = asyncio.create_task(threads.run(gate.work))
        waiting = asyncio.create_task(threads.run(gate.work))
        await asyncio.sleep(0)
        waiting.cancel()
        await asyncio.gather(waiting, return_exceptions=True)
        following = asyncio.create_task(threads.run(int, "no number"))
        await asyncio.sleep(0)
        gate.go_on.set()
        await working
        with pytest.raises(ValueError, match="no number"):
            await following
        assert await threads.run(int, "7") == 7

    asyncio.run(run())


@pytest.mark.parametrize("cookie", ["", "x", "é", "=" * 44, "A" * 43, "A" * 5000, "\0", "a b"])
def test_a_malformed_cookie_is_no_device(cookie: str) -> None:
    assert Devices(b"k" * 32).id_of(cookie) == ""


def test_a_device_is_recognized_only_by_its_unaltered_cookie_and_under_its_key() -> None:
    devices = Devices(b"k" * 32)
    cookie = devices.new(1)
    assert devices.id_of(cookie)
    assert devices.id_of(devices.new(1)) != devices.id_of(cookie)
    for place in range(len(cookie) - 1):
        other = "A" if cookie[place] != "A" else "B"
        assert not devices.id_of(cookie[:place] + other + cookie[place + 1 :])
    assert not Devices(b"l" * 32).id_of(cookie)


class Site:
    """A site on loopback that gets requests from several addresses at once."""

    def __init__(self, context: ApiContext) -> None:
        limits = ConnectionLimits(request_seconds=10, keep_alive_seconds=75, per_address=1000)
        site = create_site(context)
        config = uvicorn.Config(site, http=PanelConnections(limits), port=0, log_config=None, access_log=False)  # type: ignore[arg-type]
        self.server = uvicorn.Server(config)
        self.port = 0
        self.devices = context.access.devices
        self._threads = ThreadPoolExecutor(64)

    @contextmanager
    def serving(self) -> Iterator[None]:
        """Serve in a thread until the end of the block."""
        thread = threading.Thread(target=self.server.run)
        thread.start()
        eventually(lambda: self.server.started)
        self.port = self.server.servers[0].sockets[0].getsockname()[1]
        try:
            yield
        finally:
            self.server.should_exit = True
            thread.join()
            self._threads.shutdown()

    def sign_in(
        self, number: int, name: str, password: str, device: str = ""
    ) -> "Future[tuple[int, dict[str, str], str]]":
        """Sign in from a separate address, without waiting for the response."""
        return self._threads.submit(self._sign_in, number, name, password, device)

    def _sign_in(self, number: int, name: str, password: str, device: str) -> tuple[int, dict[str, str], str]:
        connection = http.client.HTTPConnection(
            "127.0.0.1", self.port, timeout=30, source_address=(f"127.0.1.{number}", 0)
        )
        headers = {"Content-Type": "application/x-www-form-urlencoded", "Cookie": f"{DEVICE_COOKIE}={device}"}
        connection.request("POST", "/panel/sign-in", urlencode({"name": name, "password": password}), headers)
        answer = connection.getresponse()
        told = {name.lower(): value for name, value in answer.getheaders() if name.lower() != "set-cookie"}
        told["cookies"] = " ".join(value for name, value in answer.getheaders() if name.lower() == "set-cookie")
        text = answer.read().decode()
        connection.close()
        return answer.status, told, text

    def later(self, ask: Callable[[str], int], path: str) -> "Future[int]":
        """Send a request in a thread, without waiting for the response."""
        return self._threads.submit(ask, path)

    def api(self, path: str) -> int:
        """Send a request to the API and return the response's status."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        connection.request("GET", path, headers={"Authorization": f"Bearer {SECRET}"})
        answer = connection.getresponse()
        answer.read()
        connection.close()
        return answer.status


def test_everything_else_is_answered_during_sixteen_sign_ins(instance: "Instance") -> None:
    instance.user(Role.OWNER, "Anna")
    hasher = GatedHasher()
    access = Access(ledger=instance.ledger, clock=lambda: instance.now, passwords=Passwords(hasher))
    site = Site(dataclasses.replace(instance.context, access=access))
    with site.serving():
        guesses = [
            site.sign_in(number, secrets.token_hex(4), "a wrong guess") for number in range(1, FOR_STRANGERS + 1)
        ]
        for _ in range(THREADS):
            assert hasher.gate.begun.acquire(timeout=20)
        eventually(lambda: len(access.threads._strangers) == MAX_WAITING - RESERVED_FOR_KNOWN)
        assert not any(guess.done() for guess in guesses)
        beyond = [site.sign_in(number, "anna", PASSWORD).result(20) for number in range(101, 107)]
        assert {status for status, _, _ in beyond} == {503}
        assert all(
            headers["retry-after"] == "2" and "Too many people are signing in" in text for _, headers, text in beyond
        )
        anna = site.sign_in(120, "anna", PASSWORD, site.devices.new(1))
        eventually(lambda: access.threads._known)
        for path in ("campaigns", "notices", "reports?group_by=campaign", "health", "profile"):
            assert site.api(f"/api/v1/{path}") == 200
        assert not any(guess.done() for guess in guesses)
        hasher.gate.go_on.set()
        status, headers, _ = anna.result(20)
        assert (status, headers["location"]) == (303, "/panel")
        assert {guess.result(20)[0] for guess in guesses} == {403}


def test_everything_else_is_answered_during_checks_and_reports(instance: "Instance") -> None:
    gate, site = Gate(), Site(instance.context)
    with site.serving():
        making = [LONG_WORK.submit(gate.work) for _ in range(2)]
        for _ in making:
            assert gate.begun.acquire(timeout=20)
        paths = ["/api/v1/check", "/api/v1/reports?group_by=campaign"]
        waiting = [site.later(site.api, path) for path in paths * 4]
        for path in ("campaigns", "notices", "profile"):
            assert site.api(f"/api/v1/{path}") == 200
        assert not any(one.done() for one in waiting)
        gate.go_on.set()
        assert {one.result(60) for one in waiting} == {200}


def test_a_device_gets_its_cookie_at_sign_in_and_keeps_it(instance: "Instance") -> None:
    instance.user(Role.OWNER, "Anna")
    site = Site(instance.context)
    with site.serving():
        _, failed, _ = site.sign_in(1, "anna", "wrong").result(20)
        assert DEVICE_COOKIE not in failed["cookies"]
        _, first, _ = site.sign_in(1, "anna", PASSWORD).result(20)
        cookie = first["cookies"].partition(f"{DEVICE_COOKIE}=")[2].partition(";")[0].strip('"')
        assert site.devices.id_of(cookie)
        _, again, _ = site.sign_in(1, "anna", PASSWORD, cookie).result(20)
        assert cookie in again["cookies"]
        assert "HttpOnly" in again["cookies"].partition(DEVICE_COOKIE)[2]


def test_a_device_cookie_gives_no_access(instance: "Instance") -> None:
    instance.user(Role.OWNER, "Anna")
    site = Site(instance.context)
    with site.serving():
        status, _, _ = site.sign_in(1, "anna", "wrong", site.devices.new(1)).result(20)
        assert status == 403
        connection = http.client.HTTPConnection("127.0.0.1", site.port, timeout=30)
        connection.request("GET", "/panel", headers={"Cookie": f"{DEVICE_COOKIE}={site.devices.new(1)}"})
        assert connection.getresponse().status == 303
        connection.close()
