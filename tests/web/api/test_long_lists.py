"""Lists with as many valid items as fit into a body are refused in linear time, because checking them blocks all other writers."""

import time
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from tests.web.conftest import Instance

MIB = 1024 * 1024 - 200
PART, FACTOR = 8, 32
"""Linear time for the whole list is 8 times as long as for an eighth of it, quadratic time 64 times: the rows of a traffic source
took a minute."""
FLOOR_SECONDS = 0.02
"""Minimum time assumed for the part, most of which is the request itself."""


def as_many_as_fit(frame: str, item: str, octets: int) -> str:
    """Return a JSON value: a frame with ``…`` replaced by items, and ``#`` in each of them by its number."""
    count = octets // (len(item) + 6)
    return frame.replace("…", ",".join(item.replace("#", str(number)) for number in range(1, count + 1)))


@pytest.mark.parametrize(
    ("method", "path", "field", "frame", "item"),
    [
        ("PATCH", "networks/1", "addresses", "[…]", '"10.0.0.1"'),
        ("PATCH", "networks/1", "addresses", "[…]", '"x"'),
        ("PATCH", "networks/1", "postback_parameters", "{…}", '"p#":"{a}"'),
        ("PATCH", "networks/1", "status_words", "{…}", '"w#":"sale"'),
        ("PATCH", "traffic-sources/1", "parameters", "[…]", '{"parameter":"p#"}'),
        ("PATCH", "campaigns/1", "offers", "[…]", '{"offer_id":#}'),
        ("PATCH", "campaigns/1", "offers", "[…]", '{"offer_id":1}'),
        ("PATCH", "campaigns/1", "tags", "[…]", '"t#"'),
        ("PATCH", "offers/1", "tags", "[…]", '"t#"'),
        ("PATCH", "statuses/sale", "words", "[…]", '"w#"'),
        ("PATCH", "statuses/sale", "add_words", "[…]", '"w#"'),
        ("PATCH", "postback-rules/1", "waits_seconds", "[…]", "1"),
        ("PATCH", "postback-rules/1", "conditions", '{"statuses":[…]}', '"s#"'),
        ("PATCH", "postback-rules/1", "request", '{"secrets":[…]}', '"secret#"'),
        (
            "PATCH",
            "postback-rules/1",
            "request",
            '{"headers":[…]}',
            '{"name":"X-#","value":"{externalid}"}',
        ),
        ("POST", "simulate", "parameters", "{…}", '"p#":"v"'),
    ],
)
def test_a_list_of_too_many_good_items_is_refused_in_linear_time(
    instance: "Instance", method: str, path: str, field: str, frame: str, item: str
) -> None:
    instance.set_up()
    more = '"campaign_id":1,' if path == "simulate" else ""

    def seconds(octets: int) -> float:
        body = f'{{{more}"{field}":{as_many_as_fit(frame, item, octets)}}}'
        assert len(body) < 1024 * 1024
        begun = time.process_time()
        answer: Any = instance.api.request(
            method, f"/api/v1/{path}", content=body, headers={"content-type": "application/json"}
        )
        spent = time.process_time() - begun
        assert answer.status_code == 422, answer.text[:300]
        return spent

    assert seconds(MIB) < FACTOR * max(seconds(MIB // PART), FLOOR_SECONDS)
