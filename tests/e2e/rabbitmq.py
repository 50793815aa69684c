"""A RabbitMQ of the test's own: its own node, ports, folder and cookie."""

import os
import shutil
import signal
import socket
import subprocess
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest
from kombu import Connection

from tests.e2e.stack import wait_until

# What Debian's /usr/sbin/rabbitmq-server runs, once it has changed the user.
_SERVER = Path("/usr/lib/rabbitmq/bin/rabbitmq-server")
_STOP_SECONDS = 30


def skip_unless_installed() -> None:
    if not _SERVER.exists() or not shutil.which("epmd"):
        pytest.skip("RabbitMQ is not installed here (Debian: apt-get install rabbitmq-server).")


@contextmanager
def running(folder: Path, *, address: str = "127.0.0.1") -> Iterator[str]:
    """Its address for Celery."""
    skip_unless_installed()
    folder.mkdir()
    port, distribution, mapper = _free_ports(3)
    environment = _environment(folder, address, port, distribution, mapper)
    with (folder / "log").open("ab") as log:
        children = [
            subprocess.Popen(
                command, env=environment, stdout=log, stderr=log, start_new_session=True
            )
            for command in (["epmd", "-relaxed_command_check"], [str(_SERVER)])
        ]
    url = f"amqp://guest:guest@{address}:{port}//"
    try:
        wait_until(lambda: _answers(url), seconds=120)
        yield url
    finally:
        for child in reversed(children):
            _end(child)


def _environment(
    folder: Path, address: str, port: int, distribution: int, mapper: int
) -> dict[str, str]:
    (folder / "plugins").write_text("[].")
    (folder / "rabbitmq.conf").write_text("loopback_users = none\n")
    return {
        "PATH": os.environ["PATH"],
        "HOME": str(folder),
        "RABBITMQ_NODENAME": f"test{port}@localhost",
        "RABBITMQ_NODE_IP_ADDRESS": address,
        "RABBITMQ_NODE_PORT": str(port),
        "RABBITMQ_DIST_PORT": str(distribution),
        "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": "-kernel inet_dist_use_interface {127,0,0,1}",
        "RABBITMQ_MNESIA_BASE": str(folder / "data"),
        "RABBITMQ_LOG_BASE": str(folder / "logs"),
        "RABBITMQ_PID_FILE": str(folder / "pid"),
        "RABBITMQ_CONF_ENV_FILE": os.devnull,
        "RABBITMQ_CONFIG_FILE": str(folder / "rabbitmq.conf"),
        "RABBITMQ_ENABLED_PLUGINS_FILE": str(folder / "plugins"),
        "ERL_EPMD_PORT": str(mapper),
        "ERL_EPMD_ADDRESS": "127.0.0.1",
    }


def _free_ports(count: int) -> list[int]:
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [server.getsockname()[1] for server in sockets]
    for server in sockets:
        server.close()
    return ports


def _answers(url: str) -> bool:
    with closing(Connection(url, connect_timeout=2)) as broker:
        try:
            broker.connect()
        except broker.connection_errors:
            return False
        return True


def _end(child: "subprocess.Popen[bytes]") -> None:
    """With all that it started: the server is the child of a script."""
    os.killpg(child.pid, signal.SIGTERM)
    try:
        child.wait(timeout=_STOP_SECONDS)
    except subprocess.TimeoutExpired:
        os.killpg(child.pid, signal.SIGKILL)
        child.wait()
