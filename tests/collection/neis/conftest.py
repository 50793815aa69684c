"""A server and a client for each test, closed after it."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from typing import Any

import pytest

from collection.neis import Keys, Limits, NeisClient
from tests.collection.neis.asking import ROOMY, Open
from tests.collection.neis.server import Answering, Server, serving


@pytest.fixture
def serve() -> Iterator[Callable[[Answering], Server]]:
    contexts: list[AbstractContextManager[Server]] = []

    def start(answer: Answering) -> Server:
        contexts.append(serving(answer))
        return contexts[-1].__enter__()

    yield start
    for context in contexts:
        context.__exit__(None, None, None)


@pytest.fixture
def connect() -> Iterator[Open]:
    clients: list[NeisClient] = []

    def start(
        server: Server | str,
        *keys: str,
        limits: Limits = ROOMY,
        **others: Any,
    ) -> NeisClient:
        url = server if isinstance(server, str) else server.base_url
        clients.append(NeisClient(base_url=url, keys=Keys(keys), limits=limits, **others))
        return clients[-1]

    yield start
    for client in clients:
        client.close()
