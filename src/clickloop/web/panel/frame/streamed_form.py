"""A form with a large file, read as it comes: its texts are kept, its file goes on piece by piece and never stands in memory."""

import hmac
from collections.abc import AsyncIterator

from litestar.exceptions import HTTPException, PermissionDeniedException
from multipart import MultipartError, MultipartSegment, PushMultipartParser  # type: ignore[import-untyped]  # ships no types

from clickloop.web.panel.frame.form import CSRF_FIELD
from clickloop.web.panel.frame.form_body import boundary_of
from clickloop.web.panel.frame.viewer import AnyRequest

STREAMED = "streamed"
"""The ``opt`` of a page whose form ``StreamedForm`` reads; that also checks the form's word, which the guard cannot."""
MAX_FIELD_BYTES = 4_096  # the file has no bound here; the fields beside it are words
MAX_FIELDS = 20  # the form has fewer


class StreamedForm:
    """Reads a form of ``multipart/form-data``. ``texts`` is complete when ``pieces`` has ended.

    The form's own word (CSRF) has to come before anything that is passed on.
    """

    def __init__(self, request: AnyRequest, csrf: str, *, text_as_file: str) -> None:
        """``text_as_file``: the text field that is passed on like the file, for who writes instead of choosing one."""
        self.texts: dict[str, str] = {}
        self.file_name = ""
        self.sources = 0
        """Of how many places pieces came: file, text field."""
        self._request = request
        self._csrf = csrf
        self._text_as_file = text_as_file
        self._gathered = b""

    async def pieces(self) -> AsyncIterator[bytes]:
        """The file, or what was written instead. Raises HTTPException 400 for a body that is no such form, 403 without its word."""
        boundary = boundary_of(self._request.headers.get("content-type", ""))
        segment: MultipartSegment | None = None
        try:
            with PushMultipartParser(boundary, max_segment_count=MAX_FIELDS) as parser:
                async for chunk in self._request.stream():
                    for event in parser.parse(chunk) if chunk else ():
                        if isinstance(event, MultipartSegment):
                            segment = self._begin(event)
                        elif event is None:
                            self._end(segment)
                        elif segment is not None and self._is_passed_on(segment):
                            self._check_word()
                            yield bytes(event)
                        else:
                            self._gather(bytes(event))
        except (MultipartError, UnicodeError) as fault:
            raise HTTPException(status_code=400, detail=f"The form cannot be read: {fault}.") from None
        self._check_word()

    def _begin(self, segment: MultipartSegment) -> MultipartSegment:
        self._gathered = b""
        if segment.filename:
            self.file_name = segment.filename
        return segment

    def _end(self, segment: MultipartSegment | None) -> None:
        if segment is None or segment.name is None:
            return
        if self._is_passed_on(segment):
            self.sources += segment.size > 0
        else:
            self.texts[segment.name] = self._gathered.decode("utf-8", "replace")

    def _gather(self, octets: bytes) -> None:
        self._gathered += octets
        if len(self._gathered) > MAX_FIELD_BYTES:
            raise HTTPException(status_code=413, detail="A field of the form is too long.")

    def _is_passed_on(self, segment: MultipartSegment) -> bool:
        return segment.filename is not None or segment.name == self._text_as_file

    def _check_word(self) -> None:
        if not hmac.compare_digest(self.texts.get(CSRF_FIELD, "").encode(), self._csrf.encode()):
            raise PermissionDeniedException("This form is from before you signed in: reload the page and try again.")
