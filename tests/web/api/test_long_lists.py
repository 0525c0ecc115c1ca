"""Lists with as many valid items as fit into a body are refused quickly, because checking them blocks all other writers."""

import time
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from tests.web.conftest import Instance

MAX_SECONDS = 3.0
"""Of the processor, reading the body included, which alone takes one. The rows of a traffic source took a minute."""
MIB = 1024 * 1024 - 200


def as_many_as_fit(item: str) -> str:
    """A JSON list of items, ``#`` in each replaced by its number."""
    count = MIB // (len(item) + 6)
    return "[" + ",".join(item.replace("#", str(number)) for number in range(1, count + 1)) + "]"


def members(item: str) -> str:
    """The same as an object."""
    return "{" + as_many_as_fit(item)[1:-1] + "}"


@pytest.mark.parametrize(
    ("method", "path", "field", "value"),
    [
        ("PATCH", "networks/1", "addresses", as_many_as_fit('"10.0.0.1"')),
        ("PATCH", "networks/1", "addresses", as_many_as_fit('"x"')),
        ("PATCH", "networks/1", "postback_parameters", members('"p#":"{a}"')),
        ("PATCH", "networks/1", "status_words", members('"w#":"sale"')),
        ("PATCH", "traffic-sources/1", "parameters", as_many_as_fit('{"parameter":"p#"}')),
        ("PATCH", "campaigns/1", "offers", as_many_as_fit('{"offer_id":#}')),
        ("PATCH", "campaigns/1", "offers", as_many_as_fit('{"offer_id":1}')),
        ("PATCH", "campaigns/1", "tags", as_many_as_fit('"t#"')),
        ("PATCH", "offers/1", "tags", as_many_as_fit('"t#"')),
        ("PATCH", "statuses/sale", "words", as_many_as_fit('"w#"')),
        ("PATCH", "statuses/sale", "add_words", as_many_as_fit('"w#"')),
        ("PATCH", "postback-rules/1", "waits_seconds", as_many_as_fit("1")),
        ("PATCH", "postback-rules/1", "conditions", '{"statuses":' + as_many_as_fit('"s#"') + "}"),
        ("PATCH", "postback-rules/1", "request", '{"secrets":' + as_many_as_fit('"secret#"') + "}"),
        (
            "PATCH",
            "postback-rules/1",
            "request",
            '{"headers":' + as_many_as_fit('{"name":"X-#","value":"{externalid}"}') + "}",
        ),
        ("POST", "simulate", "parameters", members('"p#":"v"')),
    ],
)
def test_a_list_of_too_many_good_items_is_refused_in_a_moment(
    instance: "Instance", method: str, path: str, field: str, value: str
) -> None:
    instance.set_up()
    more = '"campaign_id":1,' if path == "simulate" else ""
    body = f'{{{more}"{field}":{value}}}'
    assert len(body) < 1024 * 1024
    begun = time.process_time()
    answer: Any = instance.api.request(
        method, f"/api/v1/{path}", content=body, headers={"content-type": "application/json"}
    )
    seconds = time.process_time() - begun
    assert answer.status_code == 422, answer.text[:300]
    assert seconds < MAX_SECONDS
