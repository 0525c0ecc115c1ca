"""A form with a large file, read as it arrives: texts are collected, the file is passed on in chunks."""

import hmac
from collections.abc import AsyncIterator

from litestar.exceptions import HTTPException, PermissionDeniedException
from multipart import MultipartError, MultipartSegment, PushMultipartParser  # type: ignore[import-untyped]  # ships no types

from clickloop.web.panel.frame.form import CSRF_FIELD
from clickloop.web.panel.frame.form_body import boundary_of
from clickloop.web.panel.frame.viewer import AnyRequest

STREAMED = "streamed"
"""The ``opt`` of a page whose form ``StreamedForm`` reads; that, not the guard, checks its CSRF token."""
MAX_FIELD_BYTES = 4_096  # text fields only: the file is bounded where it is stored
MAX_FIELDS = 20  # the form has fewer
STALE_FORM = "This form is from before you signed in. Reload the page and try again."


class StreamedForm:
    """A form of ``multipart/form-data`` as a stream. ``texts`` is complete once ``pieces`` is exhausted.

    The CSRF field must precede everything that is passed on.
    """

    def __init__(self, request: AnyRequest, csrf: str, *, text_as_file: str) -> None:
        """``text_as_file``: the text field that is passed on like the file, for users who type lines instead."""
        self.texts: dict[str, str] = {}
        self.file_name = ""
        self.sources = 0
        """Number of non-empty sources, out of file and text field."""
        self._request = request
        self._csrf = csrf
        self._text_as_file = text_as_file
        self._collected = b""

    async def pieces(self) -> AsyncIterator[bytes]:
        """Return the chunks of file or text field. Raise HTTPException 400 for any other body, 403 for a wrong CSRF token."""
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
                            self._check_csrf()
                            yield bytes(event)
                        else:
                            self._collect(bytes(event))
        except (MultipartError, UnicodeError) as fault:
            raise HTTPException(status_code=400, detail=f"The form cannot be read: {fault}.") from None
        self._check_csrf()

    def _begin(self, segment: MultipartSegment) -> MultipartSegment:
        self._collected = b""
        if segment.filename:
            self.file_name = segment.filename
        return segment

    def _end(self, segment: MultipartSegment | None) -> None:
        if segment is None or segment.name is None:
            return
        if self._is_passed_on(segment):
            self.sources += segment.size > 0
        else:
            self.texts[segment.name] = self._collected.decode("utf-8", "replace")

    def _collect(self, chunk: bytes) -> None:
        self._collected += chunk
        if len(self._collected) > MAX_FIELD_BYTES:
            raise HTTPException(status_code=413, detail="A field of the form is too long.")

    def _is_passed_on(self, segment: MultipartSegment) -> bool:
        return segment.filename is not None or segment.name == self._text_as_file

    def _check_csrf(self) -> None:
        if not hmac.compare_digest(self.texts.get(CSRF_FIELD, "").encode(), self._csrf.encode()):
            raise PermissionDeniedException(STALE_FORM)
