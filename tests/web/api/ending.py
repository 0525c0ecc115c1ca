"""Postbacks and jobs brought to where a test needs them, over the API and in the ledger."""

from typing import TYPE_CHECKING, Any

from sqlalchemy import insert, update

from clickloop.store.ledger.schema.tables import attempts, postbacks
from clickloop.tracking.jobs.bulk_work import run_next_batch

if TYPE_CHECKING:
    from tests.web.conftest import Instance


def converted(instance: "Instance", **click: Any) -> Any:
    """The postback of a new conversion."""
    click_id = instance.visit(**click)
    answer = instance.api.post("/api/v1/conversions", json={"click_id": click_id, "payout": "12.5"})
    assert answer.status_code == 201, answer.text
    return instance.got(f"postbacks?click_id={click_id}")["items"][0]


def ended(instance: "Instance", postback: Any, state: str = "failed", attempts: int = 3) -> str:
    """Lets a postback end; answers its ID."""
    with instance.ledger.write() as tx:
        tx.execute(
            update(postbacks)
            .where(postbacks.c.postback_id == postback["postback_id"])
            .values(state=state, next_attempt_at=None, finished_at=instance.now, attempts=attempts)
        )
    return str(postback["postback_id"])


def deliver_all(instance: "Instance") -> None:
    """Lets every postback that waits be delivered by one attempt."""
    for postback in instance.got("postbacks?state=waiting")["items"]:
        ended(instance, postback, "delivered", attempts=1)
        with instance.ledger.write() as tx:
            tx.execute(
                insert(attempts).values(
                    postback_id=postback["postback_id"],
                    number=1,
                    started_at=instance.now,
                    finished_at=instance.now,
                    result="delivered",
                    status_code=200,
                    answer=b"OK",
                    duration_ms=5,
                )
            )


def work_off(instance: "Instance") -> None:
    while run_next_batch(instance.context.intake(), instance.now):
        pass
