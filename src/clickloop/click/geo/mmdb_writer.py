"""Writing bases in MaxMind's format, from networks and their records (MaxMind DB File Format Specification 2.0).

https://maxmind.github.io/MaxMind-DB/. Keys are not shared by pointers, which would save a third of the size of large records.
"""

from array import array
from collections.abc import Mapping

import msgspec

METADATA_START = b"\xab\xcd\xefMaxMind.com"
_SEPARATOR = bytes(16)
_NOTHING = -1
_IPV4_DEPTH = 96  # in an IPv6 tree, IPv4 is ::/96
_MAX_24_BITS = 1 << 24
_KINDS_BY_BITS = {16: 5, 32: 6, 64: 9}


class _Unsigned(msgspec.Struct, frozen=True):
    """An integer of one of the format's other widths, which readers insist on in the metadata."""

    number: int
    bits: int


class MmdbWriter:
    """A base in memory. Of networks within each other, add the larger one first."""

    def __init__(self, kind: str, built_at_seconds: int, *, ip_version: int = 6) -> None:
        self._kind = kind
        self._built_at_seconds = built_at_seconds
        self._ip_version = ip_version
        self._bits = 128 if ip_version == 6 else 32
        # Two records per node: the next node if not negative, nothing, or -2 minus the offset of a value.
        self._tree = array("q", (_NOTHING, _NOTHING))
        self._offsets: dict[bytes, int] = {}
        self._data = bytearray()
        self._start4 = self._child_at(0, _IPV4_DEPTH) if ip_version == 6 else 0

    def add(self, first: int, prefix_length: int, value: object, *, ip_version: int) -> None:
        """Add a network by its first address."""
        is_within = ip_version == 4
        node = self._start4 if is_within else 0
        bits = 32 if is_within else self._bits
        self._put(node, first, bits, prefix_length, -2 - self._offset_of(value))

    def encode(self) -> bytes:
        """Return the bytes of the file."""
        count = len(self._tree) // 2
        bits = 24 if count + len(_SEPARATOR) + len(self._data) < _MAX_24_BITS else 32
        size = bits // 8
        nodes = b"".join(_pointer(record, count).to_bytes(size, "big") for record in self._tree)
        metadata: dict[str, object] = {
            "node_count": count,
            "record_size": _Unsigned(bits, 16),
            "ip_version": _Unsigned(self._ip_version, 16),
            "database_type": self._kind,
            "languages": ["en"],
            "binary_format_major_version": _Unsigned(2, 16),
            "binary_format_minor_version": _Unsigned(0, 16),
            "build_epoch": _Unsigned(self._built_at_seconds, 64),
            "description": {"en": self._kind},
        }
        return nodes + _SEPARATOR + bytes(self._data) + METADATA_START + encode_value(metadata)

    def _offset_of(self, value: object) -> int:
        """Return where a value is in the data, written once however many networks have it."""
        encoded = encode_value(value)
        offset = self._offsets.get(encoded)
        if offset is None:
            self._offsets[encoded] = offset = len(self._data)
            self._data += encoded
        return offset

    def _put(self, node: int, first: int, bits: int, prefix_length: int, record: int) -> None:
        tree = self._tree
        for position in range(bits - 1, bits - prefix_length, -1):
            side = 2 * node + (first >> position & 1)
            following = tree[side]
            if following < 0:  # a larger network is split
                following = self._new_node(following)
                tree[side] = following
            node = following
        tree[2 * node + (first >> (bits - prefix_length) & 1)] = record

    def _child_at(self, node: int, depth: int) -> int:
        """Return the node below that has only zeros above it, made if it is missing."""
        for _ in range(depth):
            if self._tree[2 * node] < 0:
                self._tree[2 * node] = self._new_node(self._tree[2 * node])
            node = self._tree[2 * node]
        return node

    def _new_node(self, record: int) -> int:
        self._tree.append(record)
        self._tree.append(record)
        return len(self._tree) // 2 - 1


def _pointer(record: int, node_count: int) -> int:
    """Return a record of the tree as it is in the file: a node, the node after the last for nothing, or behind it a value."""
    if record >= 0:
        return record
    return node_count if record == _NOTHING else node_count + len(_SEPARATOR) - 2 - record


def encode_value(value: object) -> bytes:
    """Return a value of the data section. Raise TypeError for one that the format, or this writer, does not have."""
    match value:
        case str():
            text = value.encode()
            return _head(2, len(text)) + text
        case bool():
            return _head(14, int(value))
        case int():
            return encode_value(_Unsigned(value, 32))
        case _Unsigned():
            number = value.number.to_bytes(value.bits // 8, "big").lstrip(b"\0")
            return _head(_KINDS_BY_BITS[value.bits], len(number)) + number
        case Mapping():
            return _head(7, len(value)) + b"".join(encode_value(key) + encode_value(one) for key, one in value.items())
        case list():
            return _head(11, len(value)) + b"".join(encode_value(one) for one in value)
        case _:
            raise TypeError(value)


def _head(kind: int, size: int) -> bytes:
    """Return the control bytes of a value. Sizes of up to 285 + 65,535."""
    extended = b"" if kind <= 7 else bytes([kind - 7])
    first = kind << 5 if kind <= 7 else 0
    if size < 29:
        return bytes([first | size]) + extended
    if size < 285:
        return bytes([first | 29]) + extended + bytes([size - 29])
    return bytes([first | 30]) + extended + (size - 285).to_bytes(2, "big")
