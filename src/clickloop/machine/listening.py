"""The two listening sockets: opened here, or inherited from a service manager that keeps them open while we restart.

The protocol is systemd's (sd_listen_fds(3)): ``LISTEN_PID`` is our process, ``LISTEN_FDS`` is the number of sockets from
descriptor 3 on, ``LISTEN_FDNAMES`` has their names.
"""

import os
import socket
import time
from collections.abc import Mapping

from clickloop.config import listen_address

VISITORS = "visitors"
PANEL = "panel"
NAMES = (VISITORS, PANEL)
"""The names of the sockets, and their order if neither name is given."""
BACKLOG = 4096
"""Maximum number of connections waiting to be accepted, as during a restart. The kernel limits it to ``net.core.somaxconn``."""
_VARIABLES = ("LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES")
_FIRST_FD = 3  # systemd's SD_LISTEN_FDS_START
_BIND_SECONDS = 15.0  # a tracker that is being restarted releases its port within this time


class SocketError(Exception):
    """A socket cannot be used; the message says what was found, what was expected and what to do."""


def sockets_handed_over(environment: Mapping[str, str], pid: int) -> dict[str, socket.socket]:
    """Return the listening sockets passed to process ``pid``, by name. Raise SocketError.

    Variables that are meant for another process, such as those inherited from a shell, are ignored.
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
            "Set one ListenStream= for each."
        )
    names = _names(environment.get("LISTEN_FDNAMES", ""), count)
    return {name: _taken_over(_FIRST_FD + number, name) for number, name in enumerate(names)}


def forget_handed_over(environment: "os._Environ[str]") -> None:
    """Remove the variables, so that children don't use them."""
    for name in _VARIABLES:
        environment.pop(name, None)


def _names(text: str, count: int) -> tuple[str, ...]:
    """Return the name of each socket: the given name if any of them is ours, else a name by position."""
    names = tuple(text.split(":")) if text else ()
    if not set(names) & set(NAMES):
        return NAMES[:count]
    if len(names) != count or len(set(names)) != count or not set(names) <= set(NAMES):
        raise SocketError(
            f"The sockets handed over are named {', '.join(names)[:200]}, expected {' and '.join(NAMES)}, each once. "
            "Correct FileDescriptorName= in their units."
        )
    return names


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
    """Raise SocketError unless a socket handed over listens at the address in the setting, on which other commands rely."""
    host, port = listen_address(text, setting)
    found = taken.getsockname()[:2]
    try:
        expected = {entry[4][:2] for entry in socket.getaddrinfo(host, port or found[1], type=socket.SOCK_STREAM)}
    except OSError as fault:
        raise SocketError(f"{setting} {text} cannot be resolved: {fault}. Set another address.") from fault
    if found not in expected:
        there = address_of(taken)
        raise SocketError(
            f"The socket handed over for {setting} listens on {there}, but {setting} is {text}. "
            f"Set CLICKLOOP_{setting.upper()}={there}, or change ListenStream= of the socket's unit."
        )


def listen(text: str, setting: str) -> socket.socket:
    """Open a listening socket that children inherit. Raise SocketError if the port isn't free within some seconds."""
    host, port = listen_address(text, setting)
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    give_up = time.monotonic() + _BIND_SECONDS
    while True:
        listening = socket.socket(family, socket.SOCK_STREAM)
        # Without this, connections of a previous process in TIME_WAIT would block the port for a minute.
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
            # A tracker that is being restarted may not have released the port yet.
            time.sleep(0.2)
        else:
            return listening


def address_of(listening: socket.socket) -> str:
    """Return the address of a listening socket in the format of the settings."""
    host, port = listening.getsockname()[:2]
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def open_sockets(listen_text: str, panel_text: str) -> tuple[socket.socket, socket.socket, tuple[str, ...]]:
    """Return the sockets for visitors and the panel, and the names of those handed over. Raise SocketError."""
    handed_over = sockets_handed_over(os.environ, os.getpid())
    forget_handed_over(os.environ)
    settings = {VISITORS: ("listen", listen_text), PANEL: ("panel_listen", panel_text)}
    for name, inherited in handed_over.items():
        check_address(inherited, settings[name][1], settings[name][0])
    opened = [handed_over.get(name) or listen(text, setting) for name, (setting, text) in settings.items()]
    return opened[0], opened[1], tuple(handed_over)
