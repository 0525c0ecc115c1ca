"""Listening sockets handed over by systemd."""

import json
import os
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from clickloop.machine.listening import SocketError, address_of, check_address

HANDED_OVER = """
import json, os, socket, sys
given, fds, environment = sys.argv[1], json.loads(sys.argv[2]), json.loads(sys.argv[3])
for number, fd in enumerate(fds):
    os.dup2(fd, 3 + number)
os.environ.update(environment)
if given == "ours":
    os.environ["LISTEN_PID"] = str(os.getpid())
from clickloop.machine.listening import SocketError, open_sockets
try:
    visitors, panel, names = open_sockets(sys.argv[4], sys.argv[5])
except SocketError as fault:
    print(json.dumps({"fault": str(fault)}))
else:
    left = [name for name in os.environ if name.startswith("LISTEN_")]
    inherited = os.get_inheritable(visitors.fileno()) and os.get_inheritable(panel.fileno())
    found = {"visitors": visitors.getsockname(), "panel": panel.getsockname(), "names": names}
    print(json.dumps(found | {"left": left, "inherited": inherited}))
"""
"""A program that prints what it makes of sockets handed over."""


def opened(*families: tuple[socket.AddressFamily, str]) -> list[socket.socket]:
    """Listening sockets with descriptors far from those handed over."""
    made = []
    for family, host in families or ((socket.AF_INET, "127.0.0.1"), (socket.AF_INET, "127.0.0.1")):
        with socket.create_server((host, 0), family=family) as listening:
            made.append(listening.dup())
    return made


def handed_over(
    sockets: list[socket.socket], names: str = "", listen: str = "", panel: str = "", pid: str = "ours", count: str = ""
) -> dict[str, object]:
    """Return the output of a process to which these sockets are handed over."""
    environment = {"LISTEN_FDS": count or str(len(sockets))} | ({"LISTEN_FDNAMES": names} if names else {})
    addresses = [*map(address_of, sockets), "127.0.0.1:0", "127.0.0.1:0"]
    # Moved up first: the numbers that they are handed over under may be in use here.
    fds = [os.dup(one.fileno()) for one in sockets]
    result = subprocess.run(
        [
            sys.executable,
            "-c",
            HANDED_OVER,
            pid,
            json.dumps(fds),
            json.dumps(environment),
            listen or addresses[0],
            panel or addresses[1],
        ],
        pass_fds=fds,
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    for fd in fds:
        os.close(fd)
    found: dict[str, object] = json.loads(result.stdout)
    return found


def test_unnamed_sockets_are_taken_in_order() -> None:
    sockets = opened()
    found = handed_over(sockets)
    assert [found["visitors"], found["panel"]] == [list(one.getsockname()) for one in sockets]
    assert found["names"] == ["visitors", "panel"]
    assert found["inherited"]
    assert not found["left"]


def test_named_sockets_are_taken_by_name() -> None:
    sockets = opened()
    first, second = map(address_of, sockets)
    found = handed_over(sockets, "panel:visitors", listen=second, panel=first)
    assert [found["panel"], found["visitors"]] == [list(one.getsockname()) for one in sockets]


def test_names_of_units_are_no_names() -> None:
    sockets = opened()
    assert handed_over(sockets, "clickloop.socket:clickloop.socket")["names"] == ["visitors", "panel"]


def test_one_socket_is_enough_and_the_other_is_opened() -> None:
    sockets = opened((socket.AF_INET, "127.0.0.1"))
    found = handed_over(sockets, "panel", listen="127.0.0.1:0", panel=address_of(sockets[0]))
    assert found["panel"] == list(sockets[0].getsockname())
    assert found["names"] == ["panel"]


def test_an_ipv6_socket_is_taken() -> None:
    sockets = opened((socket.AF_INET6, "::1"), (socket.AF_INET, "127.0.0.1"))
    assert handed_over(sockets)["names"] == ["visitors", "panel"]


def test_sockets_for_another_process_count_for_nothing() -> None:
    sockets = opened()
    found = handed_over(sockets, pid="another's", listen="127.0.0.1:0", panel="127.0.0.1:0")
    assert not found["names"]


@pytest.mark.parametrize(
    ("ask", "words"),
    [
        (lambda: handed_over(opened(), listen="127.0.0.1:1"), "but listen is 127.0.0.1:1. Set CLICKLOOP_LISTEN="),
        (
            lambda: handed_over(opened(), panel="127.0.0.1:1"),
            "but panel_listen is 127.0.0.1:1. Set CLICKLOOP_PANEL_LISTEN=",
        ),
        (
            lambda: handed_over(opened(), "visitors:visitors"),
            "named visitors, visitors, expected visitors and panel, each once",
        ),
        (lambda: handed_over(opened(), "visitors:other"), "named visitors, other, expected"),
        (lambda: handed_over(opened(), "visitors"), "named visitors, expected"),
        (
            lambda: handed_over(opened(*[(socket.AF_INET, "127.0.0.1")] * 3)),
            "3 sockets were handed over, expected at most 2",
        ),
        (lambda: handed_over(opened(), count="two"), "LISTEN_FDS is 'two'"),
        (lambda: handed_over([socket.socket()], listen="127.0.0.1:0"), "is no listening TCP socket"),
        (
            lambda: handed_over([socket.socket(type=socket.SOCK_DGRAM)], listen="127.0.0.1:0"),
            "is no listening TCP socket",
        ),
    ],
)
def test_what_does_not_fit_is_refused_in_words_that_say_what_to_do(
    ask: Callable[[], dict[str, object]], words: str
) -> None:
    assert words in str(ask()["fault"])


def test_a_descriptor_that_is_not_open_is_refused() -> None:
    found = handed_over(opened((socket.AF_INET, "127.0.0.1")), count="2", panel="127.0.0.1:0")
    assert "Descriptor 4, handed over as panel, is no open socket" in str(found["fault"])


def test_a_host_name_in_the_setting_counts_by_its_addresses() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        check_address(listening, f"localhost:{listening.getsockname()[1]}", "listen")
        with pytest.raises(SocketError):
            check_address(listening, f"127.0.0.2:{listening.getsockname()[1]}", "listen")


def test_the_command_ends_with_the_words_when_sockets_do_not_fit(tmp_path: Path) -> None:
    (listening,) = opened((socket.AF_INET, "127.0.0.1"))
    code = (
        "import os, sys; os.dup2(int(sys.argv[1]), 3); os.environ['LISTEN_PID'] = str(os.getpid()); "
        "os.execv(sys.executable, [sys.executable, *sys.argv[2:]])"
    )
    fd = os.dup(listening.fileno())
    serve = ["-m", "clickloop", "serve", "--data", str(tmp_path / "data"), "--listen", "127.0.0.1:1"]
    result = subprocess.run(
        [sys.executable, "-c", code, str(fd), *serve],
        pass_fds=[fd],
        env={**os.environ, "LISTEN_FDS": "1", "LISTEN_FDNAMES": "visitors"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    os.close(fd)
    assert result.returncode == 2
    assert f"listens on {address_of(listening)}, but listen is 127.0.0.1:1" in result.stderr
