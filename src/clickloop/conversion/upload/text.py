"""Decode an uploaded file to UTF-8, and split it into physical lines with their positions, within limits."""

import codecs
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from clickloop.conversion.pairs import MAX_INPUT_BYTES

MAX_LINE_BYTES = MAX_INPUT_BYTES
"""Maximum size of a record, which may span several physical lines: as much as is read of a notice."""

_MARKS = (
    (codecs.BOM_UTF8, ""),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_MAX_MARK_BYTES = 4  # UTF-32's mark; with fewer bytes it cannot be recognised
_MAX_CHARACTER_BYTES = 4  # of UTF-8; fewer at the end of a piece may be a character that continues in the next
BINARY_MARKS = (b"PK\x03\x04", b"\x1f\x8b", b"%PDF", b"\xd0\xcf\x11\xe0", b"Rar!", b"7z\xbc\xaf", b"\x28\xb5\x2f\xfd")
"""First bytes of files that are not text: workbooks, archives."""
UTF_8, WINDOWS_1252 = "utf-8", "windows-1252"
_WINDOWS = {
    byte: character
    for byte in range(0x80, 0xA0)
    if (character := bytes([byte]).decode("cp1252", "ignore"))  # five bytes are undefined
}


class Utf8Decoder:
    """An incremental decoder of a file to UTF-8 without a byte order mark.

    UTF-16 and UTF-32 are recognised by their marks (spreadsheets save "Unicode text" like this). If the first bytes beyond ASCII
    are not UTF-8, the whole file is read as windows-1252, which spreadsheets call "CSV (ANSI)", because files do not mix the two.
    After valid UTF-8, invalid bytes are kept as they are, as at the public endpoints.
    """

    def __init__(self) -> None:
        self.encoding = UTF_8
        """The encoding detected so far."""
        self._head: bytes | None = b""
        self._decoder: codecs.IncrementalDecoder | None = None
        self._is_ascii = True
        """Whether everything so far is ASCII, so that the encoding is not known yet."""
        self._undecided = b""
        """The beginning of a possible UTF-8 character."""

    def take(self, piece: bytes) -> bytes:
        """Return the text that this piece adds."""
        if self._head is None:
            return self._decoded(piece)
        self._head += piece
        return self._begin(self._head) if len(self._head) >= _MAX_MARK_BYTES else b""

    def end(self) -> bytes:
        """Return the remaining text. Half a character at the end becomes a replacement character."""
        text = self._begin(self._head) if self._head is not None else b""
        if self._undecided:
            self.encoding = WINDOWS_1252
            text += _from_windows(self._undecided)
        return text + (self._decoder.decode(b"", final=True).encode() if self._decoder else b"")

    def _begin(self, head: bytes) -> bytes:
        self._head = None
        for mark, encoding in _MARKS:
            if head.startswith(mark):
                if not encoding:
                    self._is_ascii = False
                    return head[len(mark) :]
                self._decoder = codecs.getincrementaldecoder(encoding)(errors="replace")
                self.encoding = encoding
                break
        if head.startswith(BINARY_MARKS):
            self._is_ascii = False
        return self._decoded(head)

    def _decoded(self, piece: bytes) -> bytes:
        if self._decoder:
            return self._decoder.decode(piece).encode()
        if self.encoding == WINDOWS_1252:
            return _from_windows(piece)
        if not self._is_ascii or (piece.isascii() and not self._undecided):
            return piece
        piece, self._undecided = self._undecided + piece, b""
        try:
            piece.decode()
        except UnicodeDecodeError as error:
            if not piece[: error.start].isascii():
                self._is_ascii = False
            elif error.reason == "unexpected end of data" and len(piece) - error.start < _MAX_CHARACTER_BYTES:
                # A character may be split at the end of the piece: the next piece decides.
                piece, self._undecided = piece[: error.start], piece[error.start :]
            else:
                self.encoding = WINDOWS_1252
                return _from_windows(piece)
        else:
            self._is_ascii = False
        return piece


def _from_windows(piece: bytes) -> bytes:
    return piece.decode("latin-1").translate(_WINDOWS).encode()


class PhysicalLine(NamedTuple):
    """One line of a file. ``ends_at`` is the byte offset of the next line."""

    number: int
    """From 1; empty lines count too."""
    ends_at: int
    content: bytes
    """Its bytes without the line end; of a line that is too long the beginning."""
    is_cut: bool = False


def physical_lines(pieces: Iterable[bytes], first_number: int = 1, begins_at: int = 0) -> Iterator[PhysicalLine]:
    """Yield the lines of a text that comes in pieces, ended by LF, CRLF or CR. Buffers at most one piece and one line."""
    number, ends_at = first_number, begins_at
    rest = b""
    dropped = 0  # bytes dropped of a line that is too long; only its beginning is kept in ``rest``
    for piece in pieces:
        lines = (rest + piece).splitlines(keepends=True)
        # A CR at the very end may be the first half of a CRLF.
        rest = lines.pop() if lines and not lines[-1].endswith(b"\n") else b""
        for line in lines:
            ends_at += len(line) + dropped
            content = line.rstrip(b"\r\n")
            if dropped or len(content) > MAX_LINE_BYTES:
                yield PhysicalLine(number, ends_at, content[:MAX_LINE_BYTES], True)
            else:
                yield PhysicalLine(number, ends_at, content)
            number += 1
            dropped = 0
        if len(rest) > MAX_LINE_BYTES + 1:
            kept = rest[:MAX_LINE_BYTES] + (b"\r" if rest.endswith(b"\r") else b"")
            dropped += len(rest) - len(kept)
            rest = kept
    if rest or dropped:
        content = rest.rstrip(b"\r")
        is_cut = dropped > 0 or len(content) > MAX_LINE_BYTES
        yield PhysicalLine(number, ends_at + len(rest) + dropped, content[:MAX_LINE_BYTES], is_cut)
