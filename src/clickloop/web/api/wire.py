"""Values in JSON: times as ISO 8601, text from outside made readable. For money see ``setup.money_text``."""

from collections.abc import Iterable
from typing import Annotated, Any

import msgspec
from msgspec import Meta

from clickloop.diagnosis.check.finding import CheckFinding
from clickloop.macro import Severity
from clickloop.text import readable


class Advice(msgspec.Struct, frozen=True):
    """Something that was saved but will probably not work as intended."""

    field: Annotated[str, Meta(description="The field that it is about.", examples=["postback_url"])]
    code: Annotated[str, Meta(description="A stable code for programs.", examples=["unknown_macro"])]
    message: Annotated[str, Meta(description="One sentence for users.")]
    remedy: Annotated[str, Meta(description="What to do about it.")]


def json_value(view: object) -> Any:
    """Return a view as JSON values. Unlike ``msgspec.to_builtins``, it turns tuples into lists."""
    return msgspec.json.decode(msgspec.json.encode(view))


def warnings_of(findings: Iterable[CheckFinding]) -> list[Advice]:
    """Return the errors and warnings among findings about a record, without duplicates."""
    return [
        Advice(readable(finding.place.field), finding.code, readable(finding.sentence), readable(finding.remedy))
        for finding in dict.fromkeys(findings)
        if finding.severity is not Severity.NOTE
    ]
