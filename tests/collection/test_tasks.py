import pytest

from collection import tasks


@pytest.mark.parametrize(
    ("routing_key", "queue"),
    [
        pytest.param("fetch.high", "fetch.high", id="as published"),
        pytest.param("0.0.0.1.0.fetch.list", "fetch.list", id="delayed by RabbitMQ"),
        pytest.param("control", "control", id="not a fetch"),
        pytest.param(None, "control", id="no routing key"),
    ],
)
def test_retry_goes_to_the_queue_it_came_from(routing_key: str | None, queue: str) -> None:
    assert tasks.queue_of({"routing_key": routing_key}) == queue
