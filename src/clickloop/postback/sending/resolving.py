"""Resolve a name to all its addresses with the system's sources (hosts file, name servers).

``getaddrinfo`` is not used, because it sorts addresses by connecting a datagram socket to each of them, before the guard could
refuse any (glibc's ``rfc3484_sort``). ``gethostbyname2_r`` uses the same sources and only resolves.
"""

import asyncio
import ctypes
import errno
import socket
from concurrent.futures import ThreadPoolExecutor

from aiohttp.abc import AbstractResolver, ResolveResult

_LIBC = ctypes.CDLL(None)
_MAX_LOOKUPS = 128
"""Lookups under way at once, two per name. A name whose servers do not respond keeps two threads busy for longer than an attempt
lasts, and a receiver may redirect each of its requests to another such name. Threads are only started when needed."""
_BUFFER_BYTES = 8_192  # glibc's own size; nearly every response fits
_MAX_BUFFER_BYTES = 1_048_576  # a response that needs more is an attack
_NO_DATA = 4
_FAULTS = {1: socket.EAI_NONAME, 2: socket.EAI_AGAIN, 3: socket.EAI_FAIL}
"""h_errno (netdb.h) to the error code of getaddrinfo."""


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
    """Resolves in its own threads, so that slow name servers block nothing else. IPv4 comes first: it works everywhere."""

    def __init__(self) -> None:
        self._threads = ThreadPoolExecutor(_MAX_LOOKUPS, "lookup")

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        """Return all addresses of a name. Raise socket.gaierror if it has none."""
        families = (socket.AF_INET, socket.AF_INET6) if family == socket.AF_UNSPEC else (family,)
        loop = asyncio.get_running_loop()
        lookups = [loop.run_in_executor(self._threads, addresses_of, host, one) for one in families]
        answers = await asyncio.gather(*lookups, return_exceptions=True)
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
        """Close without waiting for lookups under way."""
        self._threads.shutdown(wait=False, cancel_futures=True)


def addresses_of(host: str, family: int) -> list[str]:
    """Return a name's addresses of one family; none if it only has others. Raise socket.gaierror."""
    if "\0" in host:
        raise socket.gaierror(socket.EAI_NONAME, "The name contains a NUL, where C would cut it off.")
    size = _BUFFER_BYTES
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
