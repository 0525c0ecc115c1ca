"""The two listening sockets: opened here, or taken over from a supervisor of the machine that keeps them while we restart.

Taken over as systemd hands them to a service (sd_listen_fds(3)): ``LISTEN_PID`` is our process, ``LISTEN_FDS`` sockets begin at
descriptor 3, ``LISTEN_FDNAMES`` names them.
"""

import os
import socket
import time
from collections.abc import Mapping

from clickloop.config import listen_address

VISITORS = "visitors"
PANEL = "panel"
NAMES = (VISITORS, PANEL)
"""The names of the sockets, and the order in which they are taken when neither name is given."""
BACKLOG = 4096
"""Connections that wait while nobody accepts, as during a restart. The kernel takes no more than ``net.core.somaxconn``."""
_VARIABLES = ("LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES")
_FIRST_FD = 3  # systemd hands sockets over from this one on (sd_listen_fds(3))
_BIND_SECONDS = 15.0  # a tracker that is being restarted lets its port go within its drain


class SocketError(Exception):
    """A socket cannot be used; the text says what was found, what was expected and what to do."""


def sockets_handed_over(environment: Mapping[str, str], pid: int) -> dict[str, socket.socket]:
    """Return the listening sockets that were handed to process ``pid``, by name; empty when none were.

    Variables that are meant for another process, as a shell leaves them to what it starts, count for nothing. Raise SocketError.
    """
    if environment.get("LISTEN_PID", "") != str(pid):
        return {}
    text = environment.get("LISTEN_FDS", "")
    if not (text.isascii() and text.isdigit() and len(text) <= 4):
        raise SocketError(
            f"LISTEN_FDS is {text[:20]!r}, expected a number of sockets: start without it, or correct it."
        )
    count = int(text)
    if count > len(NAMES):
        raise SocketError(
            f"{count} sockets were handed over, expected at most {len(NAMES)}: {' and '.join(NAMES)}. "
            "Name one ListenStream= for each."
        )
    names = _names(environment.get("LISTEN_FDNAMES", ""), count)
    return {name: _taken_over(_FIRST_FD + number, name) for number, name in enumerate(names)}


def forget_handed_over(environment: "os._Environ[str]") -> None:
    """Remove the variables, so that no child takes them for its own."""
    for name in _VARIABLES:
        environment.pop(name, None)


def _names(text: str, count: int) -> tuple[str, ...]:
    """Return the name of each socket: as given where a given name is one of ours, else by their order."""
    given = tuple(text.split(":")) if text else ()
    if not set(given) & set(NAMES):
        return NAMES[:count]
    if len(given) != count or len(set(given)) != count or not set(given) <= set(NAMES):
        raise SocketError(
            f"The sockets that were handed over are named {', '.join(given)[:200]}, expected {' and '.join(NAMES)}, each once. "
            "Correct FileDescriptorName= in their units."
        )
    return given


def _taken_over(number: int, name: str) -> socket.socket:
    try:
        taken = socket.socket(fileno=number)
        is_listening = taken.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN) == 1
    except OSError as fault:
        raise SocketError(f"Descriptor {number}, handed over as {name}, is no open socket: {fault}.") from fault
    if taken.family not in (socket.AF_INET, socket.AF_INET6) or taken.type != socket.SOCK_STREAM or not is_listening:
        raise SocketError(
            f"Descriptor {number}, handed over as {name}, is no listening TCP socket. Use ListenStream= with a port, and Accept=no."
        )
    taken.listen(BACKLOG)  # of a socket that listens already this changes the backlog alone
    taken.setblocking(False)
    taken.set_inheritable(True)
    return taken


def check_address(taken: socket.socket, text: str, setting: str) -> None:
    """Raise SocketError unless a socket that was handed over listens where the setting says, which other commands rely on."""
    host, port = listen_address(text, setting)
    found = taken.getsockname()[:2]
    try:
        expected = {entry[4][:2] for entry in socket.getaddrinfo(host, port or found[1], type=socket.SOCK_STREAM)}
    except OSError as fault:
        raise SocketError(f"{setting} {text} cannot be resolved: {fault}. Set another address.") from fault
    if found not in expected:
        there = address_of(taken)
        raise SocketError(
            f"The socket that was handed over for {setting} listens on {there}, but {setting} is {text}. "
            f"Set CLICKLOOP_{setting.upper()}={there}, or change ListenStream= of the socket's unit."
        )


def listen(text: str, setting: str) -> socket.socket:
    """Open a listening socket that children inherit. Raise SocketError.

    A server that was killed may still be letting go of the port: waits a little.
    """
    host, port = listen_address(text, setting)
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    give_up = time.monotonic() + _BIND_SECONDS
    while True:
        listening = socket.socket(family, socket.SOCK_STREAM)
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listening.bind((host, port))
            listening.listen(BACKLOG)
            listening.setblocking(False)
            listening.set_inheritable(True)
        except OSError as fault:
            listening.close()
            if time.monotonic() > give_up:
                raise SocketError(
                    f"{setting} {text} cannot be used: {fault}. Stop what uses it, or set another address."
                ) from fault
            # Tried again: a tracker that is being restarted may not have let the port go yet.
            time.sleep(0.2)
        else:
            return listening


def address_of(listening: socket.socket) -> str:
    """Return where a socket listens, as the settings write it."""
    host, port = listening.getsockname()[:2]
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def open_sockets(listen_text: str, panel_text: str) -> tuple[socket.socket, socket.socket, tuple[str, ...]]:
    """Return the sockets for visitors and for the panel, and the names of those that were handed over. Raise SocketError."""
    handed_over = sockets_handed_over(os.environ, os.getpid())
    forget_handed_over(os.environ)
    wanted = {VISITORS: ("listen", listen_text), PANEL: ("panel_listen", panel_text)}
    for name, taken in handed_over.items():
        check_address(taken, wanted[name][1], wanted[name][0])
    opened = [handed_over.get(name) or listen(text, setting) for name, (setting, text) in wanted.items()]
    return opened[0], opened[1], tuple(handed_over)
