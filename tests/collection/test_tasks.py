from collections.abc import Iterator
from pathlib import Path

import pytest
import redis
from celery import current_app
from kombu.exceptions import OperationalError as BrokerError

from collection import tasks
from config import embedded


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


@pytest.fixture
def broker(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator["redis.Redis"]:
    server = embedded.Redis(tmp_path / "redis", appendonly="no")
    server.start()
    address = f"redis+socket://{server.socket}?virtual_host=0"
    monkeypatch.setattr(current_app.conf, "broker_read_url", address)
    with redis.Redis(unix_socket_path=str(server.socket)) as client:
        yield client
    server.stop()


def test_counting_says_that_the_broker_fails_when_its_memory_is_full(
    broker: "redis.Redis",
) -> None:
    broker.rpush("neis:fetch.high", "a message")
    assert tasks.queued() == 1

    broker.config_set("maxmemory", 1)

    with pytest.raises(BrokerError):
        tasks.queued()
