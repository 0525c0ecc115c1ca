"""The text of an uploaded file: other encodings as UTF-8, and octets as physical lines with their places, within limits."""

import codecs
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from clickloop.conversion.pairs import MAX_INPUT_BYTES

MAX_LINE_BYTES = MAX_INPUT_BYTES
"""Of one record, which may span several physical lines: as much as a notice may hold."""

_MARKS = (
    (codecs.BOM_UTF8, ""),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_MAX_MARK_BYTES = 4  # of UTF-32: before that many bytes are here, the mark cannot be told
_MAX_CHARACTER_BYTES = 4  # of UTF-8: what is cut off in fewer may go on in the next piece
BINARY_MARKS = (b"PK\x03\x04", b"\x1f\x8b", b"%PDF", b"\xd0\xcf\x11\xe0", b"Rar!", b"7z\xbc\xaf", b"\x28\xb5\x2f\xfd")
"""Begin files that are no text: workbooks, archives."""
UTF_8, WINDOWS_1252 = "utf-8", "windows-1252"
_WINDOWS = {
    octet: character
    for octet in range(0x80, 0xA0)
    if (character := bytes([octet]).decode("cp1252", "ignore"))  # five octets have no character
}


class Utf8:
    """Takes a file in pieces and gives it as UTF-8 without a byte order mark.

    UTF-16 and UTF-32 are recognised by their marks (spreadsheets save "Unicode text" so). What is no UTF-8 is read as windows-1252,
    which spreadsheets call "CSV (ANSI)": it is so from the first character beyond ASCII on, for nobody mixes the two. Where UTF-8 came
    first, octets that are none are kept as they are, as the public doors keep them.
    """

    def __init__(self) -> None:
        self.encoding = UTF_8
        """The encoding of the file, as far as it has arrived."""
        self._head: bytes | None = b""
        self._decoder: codecs.IncrementalDecoder | None = None
        self._is_ascii = True
        """Nothing beyond ASCII has come, so that it is not known yet which encoding it is."""
        self._undecided = b""
        """The beginning of what may be a character of UTF-8."""

    def take(self, piece: bytes) -> bytes:
        """What this piece adds to the text."""
        if self._head is None:
            return self._given(piece)
        self._head += piece
        return self._begin(self._head) if len(self._head) >= _MAX_MARK_BYTES else b""

    def end(self) -> bytes:
        """What was held back. Half a character at the end becomes a replacement character."""
        begun = self._begin(self._head) if self._head is not None else b""
        if self._undecided:
            self.encoding = WINDOWS_1252
            begun += _from_windows(self._undecided)
        return begun + (self._decoder.decode(b"", final=True).encode() if self._decoder else b"")

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
        return self._given(head)

    def _given(self, piece: bytes) -> bytes:
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
                # A character may be cut where the piece ends: the next one decides.
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
    """One line of a file. ``ends_at`` counts the octets from the file's beginning up to the next line's first."""

    number: int
    """From 1; empty lines count too."""
    ends_at: int
    octets: bytes
    """Without the line's end; of one that is too long the beginning."""
    is_cut: bool = False


def physical_lines(pieces: Iterable[bytes], first_number: int = 1, begins_at: int = 0) -> Iterator[PhysicalLine]:
    """The lines of a text that comes in pieces, ended by LF, CRLF or CR. Holds one piece and one line at most."""
    number, ends_at = first_number, begins_at
    rest = b""
    dropped = 0  # octets of a line that is too long, of which only the beginning is kept in ``rest``
    for piece in pieces:
        lines = (rest + piece).splitlines(keepends=True)
        # A CR at the very end may be the first half of a CRLF.
        rest = lines.pop() if lines and not lines[-1].endswith(b"\n") else b""
        for line in lines:
            ends_at += len(line) + dropped
            octets = line.rstrip(b"\r\n")
            if dropped or len(octets) > MAX_LINE_BYTES:
                yield PhysicalLine(number, ends_at, octets[:MAX_LINE_BYTES], True)
            else:
                yield PhysicalLine(number, ends_at, octets)
            number += 1
            dropped = 0
        if len(rest) > MAX_LINE_BYTES + 1:
            kept = rest[:MAX_LINE_BYTES] + (b"\r" if rest.endswith(b"\r") else b"")
            dropped += len(rest) - len(kept)
            rest = kept
    if rest or dropped:
        octets = rest.rstrip(b"\r")
        is_cut = dropped > 0 or len(octets) > MAX_LINE_BYTES
        yield PhysicalLine(number, ends_at + len(rest) + dropped, octets[:MAX_LINE_BYTES], is_cut)
