"""/paths/{number}/weights: the learned weights of a path."""

from litestar import Router, get

from clickloop.diagnosis.route.learned import PathWeightsView, find_path_weights
from clickloop.web.api.context import Context
from clickloop.web.api.paging import Id
from clickloop.web.api.problem import expect_found


def read_path_weights(context: Context, number: Id) -> PathWeightsView:
    """Return the weights in force on a path that learns, each with the visits, conversions and interval that it rests on.

    The ID is that of the path in its flow. Weights are learned each minute.
    """
    return expect_found(find_path_weights(context.ledger, number), "path with that ID")


router = Router(
    "/",
    route_handlers=[
        get("/paths/{number:int}/weights", sync_to_thread=True, summary="Read a path's learned weights")(
            read_path_weights
        ),
    ],
    tags=["Diagnosis"],
)
