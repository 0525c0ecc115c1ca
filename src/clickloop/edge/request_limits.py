"""Limits of requests at the public port: sizes, and the number that may wait on one connection."""

URL_BYTES = 128 * 1024  # networks put whole orders into a query
HEADER_BYTES = 64 * 1024  # cookies of a shared domain may be large
BODY_BYTES = 256 * 1024
"""Of a body as it comes, and of what a compressed one becomes."""
LARGE_BYTES = 32 * 1024
"""From this much at once, each header's size is counted; below it no limit can be reached unseen."""
MESSAGE_BYTES = 1024 * 1024
"""Of a request in all: what frames the pieces of a chunked body, and fields after it, are in no other limit."""
PIPELINED = 64
"""Requests that may wait on one connection before its reading is paused."""
PIPELINED_BYTES = 64 * 1024
"""Of bodies and queries of such requests."""
PIECE_BYTES = 4 * 1024
"""Bytes parsed at a time, so that pipelined requests (23 bytes at least) cannot become thousands at once. Most requests are shorter."""
TURN_ANSWERS = 64
"""Answers in one turn of the event loop beyond the first of each connection: a few milliseconds of work."""
UNFINISHED_BYTES = 64 * 1024 * 1024
"""Memory that the unfinished requests of all connections may take, beyond ``FREE_BYTES`` of each."""
FREE_BYTES = 16 * 1024
"""Of an unfinished request: more than almost all ever have. So only large ones are dropped for being too many."""
LINGER_SECONDS = 5.0
"""Maximum time a refused connection stays open while the client goes on sending: closing at once would reset it, and the answer be lost."""
LINGER_BYTES = 4 * 1024 * 1024
"""Maximum number of bytes read and dropped meanwhile, for clients that read no answer before they have sent everything."""
MAX_UPGRADES = 16
"""Requests with Upgrade in one read. Each copies what follows it, and no client sends more than one."""
