"""A minimal base in MaxMind's format: one country for every IPv4 address (MaxMind DB File Format Specification 2.0)."""

_METADATA_START = b"\xab\xcd\xefMaxMind.com"


def country_base(code: str) -> bytes:
    """Return the bytes of a base with the country ``code`` for every address."""
    data = _value({"country": {"iso_code": code}})
    pointer = 1 + 16  # nodes plus the separator: the first value of the data section
    tree = pointer.to_bytes(3, "big") * 2
    metadata = {
        "node_count": (1).to_bytes(4, "big"),
        "record_size": 24,
        "ip_version": 4,
        "database_type": "Tests-Country",
        "languages": [],
        "binary_format_major_version": 2,
        "binary_format_minor_version": 0,
        "build_epoch": (1).to_bytes(8, "big"),
        "description": {},
    }
    return tree + bytes(16) + data + _METADATA_START + _value(metadata)


def _value(value: object) -> bytes:
    match value:
        case str():
            return bytes([2 << 5 | len(value)]) + value.encode()
        case int():
            return bytes([5 << 5 | 2]) + value.to_bytes(2, "big")
        case bytes() if len(value) == 4:
            return bytes([6 << 5 | 4]) + value  # unsigned, 32 bits
        case bytes():
            return bytes([len(value), 9 - 7]) + value  # unsigned, 64 bits
        case dict():
            return bytes([7 << 5 | len(value)]) + b"".join(_value(key) + _value(one) for key, one in value.items())
        case list():
            return bytes([len(value), 11 - 7]) + b"".join(_value(one) for one in value)
        case _:
            raise TypeError(value)
