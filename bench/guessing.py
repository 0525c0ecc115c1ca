"""Measures the API and the owner's sign-in while 64 attackers guess passwords: ``python -m bench.guessing``."""

import asyncio
import tempfile
from collections import Counter
from pathlib import Path
from urllib.parse import urlencode, urlsplit

from bench.machine import percentile
from bench.product import ServeProcess
from clickloop.machine.core_client import call_core, read_core_address

PARALLEL_GUESSES = 64
SECONDS = 10.0
SIGN_INS = 5
MAX_MS = 250.0
PASSWORD = "a few long words of the bench"


def main() -> list[str]:
    """Return the results as lines of Markdown. Raise ArithmeticError if the API fails or the owner cannot sign in."""
    with tempfile.TemporaryDirectory(prefix="clickloop-bench-") as folder:
        serving = ServeProcess(Path(folder) / "data")
        try:
            return asyncio.run(_measure(serving))
        finally:
            serving.stop()


async def _measure(serving: ServeProcess) -> list[str]:
    core = read_core_address(serving.folder)
    panel = int(urlsplit(core.url).port or 0)
    device = await _first_owner(serving, panel)
    alone = await _call_api(panel, core.token, SECONDS / 2)
    statuses: Counter[int] = Counter()
    guessing = [asyncio.create_task(_guess(panel, number, statuses)) for number in range(PARALLEL_GUESSES)]
    await asyncio.sleep(1.0)
    calling = asyncio.create_task(_call_api(panel, core.token, SECONDS))
    signing_in = asyncio.create_task(_sign_in(panel, device))
    under_attack = await calling
    owner = await signing_in
    for task in guessing:
        task.cancel()
    await asyncio.gather(*guessing, return_exceptions=True)
    p99 = percentile(under_attack, 99)
    text = ", ".join(f"{status}: {count:,}" for status, count in sorted(statuses.items()))
    return [
        (
            f"{PARALLEL_GUESSES} strangers at once, each guess from an address of its own and followed by the next; {SECONDS:g} s. "
            f"Their answers: {text}."
        ),
        "",
        "| | p50 | p99 | longest |",
        "| --- | --- | --- | --- |",
        *(
            f"| {name} | {percentile(times, 50):.1f} ms | {percentile(times, 99):.1f} ms | {max(times):.0f} ms |"
            for name, times in (
                ("API, alone", alone),
                ("API, beside the guesses", under_attack),
                ("sign-in of the owner from a known device, beside them", owner),
            )
        ),
        "",
        f"API p99 beside the guesses: {p99:.0f} ms (to reach: ≤ {MAX_MS:g} ms).",
    ]


async def _first_owner(serving: ServeProcess, panel: int) -> str:
    """Create an owner with a password. Return the device's cookie."""
    user = serving.create("users", {"name": "anna", "role": "owner"})
    link = await asyncio.to_thread(call_core, serving.folder, "POST", f"/api/v1/users/{user}/link")
    key = link.body.partition(b"key=")[2].partition(b'"')[0].decode()
    status, head = await _post(panel, "/panel/welcome", {"key": key, "password": PASSWORD, "again": PASSWORD})
    if status != 303:
        raise ArithmeticError(f"the owner's password could not be set: {status}")
    return head.partition(b"clickloop_device=")[2].partition(b";")[0].decode().strip('"')


async def _guess(panel: int, number: int, statuses: Counter[int]) -> None:
    tries = 0
    while True:
        # A network per attacker, since the limits per address are not what is measured.
        address = f"127.{10 + number}.{tries // 250 % 250}.{tries % 250 + 1}"
        status, _ = await _post(panel, "/panel/sign-in", {"name": f"n{tries}", "password": "wrong"}, address)
        statuses[status] += 1
        tries += 1


async def _sign_in(panel: int, device: str) -> list[float]:
    """Sign in repeatedly from a known device, at addresses that no attacker uses. Return the times in ms."""
    loop = asyncio.get_running_loop()
    times = []
    for number in range(SIGN_INS):
        began = loop.time()
        fields = {"name": "anna", "password": PASSWORD}
        status, _ = await _post(panel, "/panel/sign-in", fields, f"127.5.5.{number + 1}", f"clickloop_device={device}")
        if status != 303:
            raise ArithmeticError(f"the owner could not sign in: {status}")
        times.append((loop.time() - began) * 1000)
        await asyncio.sleep(0.5)
    return times


async def _call_api(panel: int, token: str, seconds: float) -> list[float]:
    """Call the API repeatedly over one connection. Return the times in ms."""
    loop = asyncio.get_running_loop()
    reader, writer = await asyncio.open_connection("127.0.0.1", panel)
    times, give_up = [], loop.time() + seconds
    request = (
        f"GET /api/v1/campaigns?limit=10 HTTP/1.1\r\nHost: panel\r\nAuthorization: Bearer {token}\r\n\r\n".encode()
    )
    while loop.time() < give_up:
        began = loop.time()
        writer.write(request)
        status, _ = await _answer(reader)
        if status != 200:
            raise ArithmeticError(f"the API answered {status}")
        times.append((loop.time() - began) * 1000)
        await asyncio.sleep(0.02)
    writer.close()
    return times


async def _post(
    panel: int, path: str, fields: dict[str, str], address: str = "127.0.0.1", cookie: str = ""
) -> tuple[int, bytes]:
    body = urlencode(fields).encode()
    reader, writer = await asyncio.open_connection("127.0.0.1", panel, local_addr=(address, 0))
    writer.write(
        f"POST {path} HTTP/1.1\r\nHost: panel\r\nCookie: {cookie}\r\nContent-Type: application/x-www-form-urlencoded\r\n"
        f"Content-Length: {len(body)}\r\n\r\n".encode()
        + body
    )
    answer = await _answer(reader)
    writer.close()
    return answer


async def _answer(reader: asyncio.StreamReader) -> tuple[int, bytes]:
    head = await reader.readuntil(b"\r\n\r\n")
    length = int(head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0] or 0)
    await reader.readexactly(length)
    return int(head[9:12]), head


if __name__ == "__main__":
    print("\n".join(main()))
