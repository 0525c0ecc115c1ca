"""Limits of requests at the public port: sizes, times, and the number that may be pipelined."""

MAX_URL_BYTES = 128 * 1024  # networks put whole orders into a query
MAX_HEADER_BYTES = 64 * 1024  # cookies of a shared domain may be large
MAX_BODY_BYTES = 256 * 1024
"""Maximum size of a body, both as received and decompressed."""
LARGE_BYTES = 32 * 1024
"""Reads of this size make the parser count header sizes; in smaller ones no limit can be exceeded."""
MAX_MESSAGE_BYTES = 1024 * 1024
"""Maximum size of a whole request. It covers the framing and trailers of chunked bodies, which no other limit does."""
MAX_PIPELINED = 64
"""Maximum number of requests waiting on one connection; reading is paused beyond it."""
MAX_PIPELINED_BYTES = 64 * 1024
"""Maximum size of the bodies and queries of these requests."""
PIECE_BYTES = 4 * 1024
"""Bytes parsed at a time, so that pipelined requests (at least 23 bytes) cannot become thousands at once. Most are shorter."""
MAX_ANSWERS_PER_ITERATION = 64
"""Responses per event loop iteration, beyond the first of each connection: a few milliseconds of work."""
UNFINISHED_BYTES = 64 * 1024 * 1024
"""Maximum memory of the unfinished requests of all connections, beyond ``FREE_BYTES`` of each."""
FREE_BYTES = 16 * 1024
"""Memory of an unfinished request that is not counted. Almost all stay below, so that only large ones are ever dropped."""
LINGER_SECONDS = 5.0
"""Maximum time a refused connection stays open while the client sends: closing at once would reset it and lose the response."""
LINGER_BYTES = 4 * 1024 * 1024
"""Maximum number of bytes discarded while lingering: some clients read no response before they have sent everything."""
MAX_UPGRADES = 16
"""Maximum number of requests with Upgrade in one read. Each copies the rest of the read; no real client sends two."""
