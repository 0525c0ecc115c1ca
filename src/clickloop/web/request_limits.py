"""Limits of requests at the public port: sizes, and the number that may wait on one connection."""

URL_BYTES = 128 * 1024
HEADER_BYTES = 64 * 1024
BODY_BYTES = 256 * 1024
"""Of a body as it comes, and of what a compressed one becomes."""
LARGE_BYTES = 32 * 1024
"""From this much at once, each header's size is counted; below it no limit can be reached unseen."""
MESSAGE_BYTES = 1024 * 1024
"""Of a request in all: what frames the pieces of a chunked body, and fields after it, are in no other limit."""
PIPELINED = 64
"""Requests that may wait on one connection before its reading is paused."""
MAX_UPGRADES = 16
"""Requests with Upgrade in one read. Each copies what follows it, and no client sends more than one."""
