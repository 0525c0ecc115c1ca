"""Download a file for a command.

Unlike postbacks, whose addresses the users of the panel enter, this goes to the address that the operator of the machine gave,
a mirror in their own network included, and through their proxy. What came is checked by the caller.
"""

import asyncio
from collections.abc import Callable

import aiohttp

from clickloop.postback.sending.client import USER_AGENT

_CHUNK_BYTES = 1 << 16
_CONNECT_SECONDS = 30
_IDLE_SECONDS = 60
"""Longest pause between two pieces. A slow line may take as long as it needs otherwise."""


class DownloadError(Exception):
    """A file could not be downloaded. The message says why."""


def download(url: str, take: Callable[[bytes], object], max_bytes: int, *, accept: str = "*/*") -> int:
    """Download a file, hand its pieces to ``take``, and return its size. Raise DownloadError."""
    return asyncio.run(_download(url, take, max_bytes, accept))


async def _download(url: str, take: Callable[[bytes], object], max_bytes: int, accept: str) -> int:
    timeout = aiohttp.ClientTimeout(total=None, sock_connect=_CONNECT_SECONDS, sock_read=_IDLE_SECONDS)
    headers = {"User-Agent": USER_AGENT, "Accept": accept, "Accept-Encoding": "identity"}
    size = 0
    try:
        async with (
            aiohttp.ClientSession(timeout=timeout, headers=headers, trust_env=True) as session,
            session.get(url, max_redirects=3) as answer,
        ):
            if answer.status != 200:
                raise DownloadError(f"{answer.host} answered {answer.status} {answer.reason or ''}".rstrip())
            async for piece in answer.content.iter_chunked(_CHUNK_BYTES):
                size += len(piece)
                if size > max_bytes:
                    raise DownloadError(f"more than {max_bytes // 1_000_000} MB came, which is not expected")
                take(piece)
    except TimeoutError as error:
        raise DownloadError(f"no data came for {_IDLE_SECONDS} s") from error
    except (aiohttp.ClientError, ValueError) as error:
        raise DownloadError(str(error) or type(error).__name__) from error
    return size
