"""Resolving: all addresses of a name, as the system's own sources (hosts file, name servers) have them, and nothing but asking.

``getaddrinfo`` is not used: to put several answers in order it connects a datagram socket to each of them, refused ones too,
before anybody could judge them (glibc's ``rfc3484_sort``). ``gethostbyname2_r`` asks the same sources and leaves it at that.
"""

import asyncio
import ctypes
import errno
import socket
from concurrent.futures import ThreadPoolExecutor

from aiohttp.abc import AbstractResolver, ResolveResult

_LIBC = ctypes.CDLL(None)
_LOOK_UPS = 128
"""Questions that are under way at once, two for each name. A name whose servers are silent keeps two of them busy for longer than an
attempt lasts, and one receiver may redirect each of its requests to another such name; a thread that is not needed is never begun."""
_BUFFER = 8_192  # glibc's own size; nearly every answer fits
_MAX_BUFFER_BYTES = 1_048_576  # an answer that needs more is an attack
_NO_DATA = 4
_FAULTS = {1: socket.EAI_NONAME, 2: socket.EAI_AGAIN, 3: socket.EAI_FAIL}
"""What h_errno says (netdb.h), as getaddrinfo would."""


class _Entry(ctypes.Structure):
    """``struct hostent``."""

    _fields_ = (
        ("name", ctypes.c_char_p),
        ("aliases", ctypes.c_void_p),
        ("family", ctypes.c_int),
        ("length", ctypes.c_int),
        ("addresses", ctypes.POINTER(ctypes.c_void_p)),
    )


class SystemResolver(AbstractResolver):
    """Asks in threads of its own, so that silent name servers hold up nothing else. IPv4 comes first: it is everywhere."""

    def __init__(self) -> None:
        self._threads = ThreadPoolExecutor(_LOOK_UPS, "look-up")

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        """All addresses of a name. Raises socket.gaierror when it has none."""
        families = (socket.AF_INET, socket.AF_INET6) if family == socket.AF_UNSPEC else (family,)
        loop = asyncio.get_running_loop()
        asked = [loop.run_in_executor(self._threads, addresses_of, host, one) for one in families]
        answers = await asyncio.gather(*asked, return_exceptions=True)
        found = [
            ResolveResult(
                hostname=host,
                host=address,
                port=port,
                family=one,
                proto=socket.IPPROTO_TCP,
                flags=socket.AI_NUMERICHOST,
            )
            for one, answer in zip(families, answers, strict=True)
            if not isinstance(answer, BaseException)
            for address in answer
        ]
        if found:
            return found
        fault = next((answer for answer in answers if isinstance(answer, BaseException)), None)
        raise fault or socket.gaierror(socket.EAI_NONAME, "The name has no address.")

    async def close(self) -> None:
        """Waits for nobody."""
        self._threads.shutdown(wait=False, cancel_futures=True)


def addresses_of(host: str, family: int) -> list[str]:
    """The addresses of one family that a name has; none when it has others. Raises socket.gaierror."""
    if "\0" in host:
        raise socket.gaierror(socket.EAI_NONAME, "The name holds a NUL, behind which nobody would look.")
    size = _BUFFER
    while True:
        entry, found, fault = _Entry(), ctypes.POINTER(_Entry)(), ctypes.c_int()
        buffer = ctypes.create_string_buffer(size)
        answered = (ctypes.byref(entry), buffer, ctypes.c_size_t(size), ctypes.byref(found), ctypes.byref(fault))
        code = _LIBC.gethostbyname2_r(host.encode("ascii"), ctypes.c_int(family), *answered)
        if code == errno.ERANGE and size < _MAX_BUFFER_BYTES:
            size *= 4
            continue
        break
    if ctypes.cast(found, ctypes.c_void_p).value is None:
        if fault.value == _NO_DATA:
            return []
        raise socket.gaierror(_FAULTS.get(fault.value, socket.EAI_FAIL), f"The name could not be resolved ({host}).")
    addresses = []
    for at in range(size):
        pointer = entry.addresses[at]
        if not pointer:
            break
        addresses.append(socket.inet_ntop(entry.family, ctypes.string_at(pointer, entry.length)))
    return addresses
