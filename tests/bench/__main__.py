"""python -m tests.bench: how much of the bare speed of fetching and COPY is left in a real run.

Both halves store the same schools in the same PostgreSQL from the same emulator, so that their
ratio holds on machines of any speed.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import django

FIRST = date(2026, 5, 18)
WEEKS = 3
KEY = "bench-key"
BARE_THREADS = 4


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description=__doc__)
    parser.add_argument("--schools", type=int, default=400)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--threads", type=int, default=3)
    parser.add_argument("--output", type=Path, default=Path("bench.json"))
    arguments = parser.parse_args()
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
    os.environ |= {
        "NEIS_REQUESTS_PER_SECOND": "0",
        "NEIS_MAX_IN_FLIGHT": "0",
        "NEIS_API_KEYS": KEY,
        "LOG_LEVEL": "WARNING",
    }
    django.setup()
    with tempfile.TemporaryDirectory() as folder:
        figures = Bench(arguments, Path(folder)).run()
    arguments.output.write_text(json.dumps(figures, indent=2) + "\n")
    for name, value in figures.items():
        print(f"{name:32} {value:,}")


class Bench:
    def __init__(self, arguments: argparse.Namespace, folder: Path) -> None:
        self._arguments = arguments
        self._folder = folder

    def run(self) -> dict[str, Any]:
        from django.conf import settings
        from django.db import connection
        from django.test.utils import setup_databases, teardown_databases

        from config import embedded
        from config.processes import Processes

        embedded.start(settings.BASE_DIR, names=settings.EMBEDDED_SERVICES)
        # A name of its own: the tests drop theirs.
        connection.settings_dict["TEST"]["NAME"] = "bench_neis"
        databases = setup_databases(verbosity=0, interactive=False)
        try:
            with Processes(self._folder) as processes:
                return self._measure(processes)
        finally:
            connection.close()
            teardown_databases(databases, verbosity=0)

    def _measure(self, processes: Any) -> dict[str, Any]:
        from tests.e2e.stack import running

        count = str(self._arguments.schools)
        told = processes.start_and_read(
            "emulator",
            ["collection.neis_emulator", "--schools", count, "--keys", KEY, "--cache-mb", "4096",
             "--offices", "B10,J10,T10", "--no-late-publishers"],
        )  # fmt: skip
        overrides = {
            "NEIS_API_KEYS": KEY, "NEIS_MAX_IN_FLIGHT": "0", "LOG_LEVEL": "WARNING",
            "NEIS_TIMEOUT_SECONDS": "20", "FETCH_DEADLINE_SECONDS": "90",
            "FETCH_LEASE_SECONDS": "120",
        }  # fmt: skip
        with running(self._folder / "stack", told["base_url"], **overrides) as stack:
            stack.manage("sync_schools")
            bare = self._bare(told["base_url"])
            workers = [
                stack.start_worker(f"worker{number}", self._arguments.threads)
                for number in range(self._arguments.workers)
            ]
            time.sleep(5)
            run = stack.collect("--from", str(FIRST), "--weeks", str(WEEKS), timeout=1800)
            memory = sum(_resident_megabytes(worker.pid) for worker in workers)
            again = stack.collect("--from", str(FIRST), "--weeks", str(WEEKS), timeout=1800)
        entries = run["entries"]["received"]
        rate, bare_rate = entries / run["seconds"], bare["entries"] / bare["seconds"]
        return {
            "schools": self._arguments.schools,
            "entries": entries,
            "bare_entries_per_second": round(bare_rate),
            "entries_per_second": round(rate),
            "share_of_bare_speed": round(rate / bare_rate, 3),
            "unchanged_entries_per_second": round(entries / again["seconds"]),
            "requests": run["requests"],
            "least_requests": bare["requests"],
            "requests_to_least": round(run["requests"] / bare["requests"], 3),
            "worker_megabytes": round(memory),
        }

    def _bare(self, base_url: str) -> dict[str, Any]:
        """Ask, parse and COPY on threads, without a queue, a ledger, a digest or a check."""
        from django.db import connection

        from collection import partitions
        from collection.models import School
        from collection.planning import window

        partitions.ensure(window(FIRST, WEEKS))
        schools = list(School.objects.values_list("id", "office_id", "code", "services"))
        with connection.cursor() as cursor:
            cursor.execute("CREATE UNLOGGED TABLE bare (school bigint, day text, rest text)")
        started = time.monotonic()
        with ThreadPoolExecutor(BARE_THREADS) as pool:
            done = list(pool.map(lambda school: _bare_school(base_url, school), schools))
        seconds = time.monotonic() - started
        with connection.cursor() as cursor:
            cursor.execute("DROP TABLE bare")
        return {
            "entries": sum(rows for rows, _ in done),
            "requests": sum(requests for _, requests in done),
            "seconds": seconds,
        }


def _bare_school(base_url: str, school: tuple[Any, ...]) -> tuple[int, int]:
    from django.db import connection

    from collection.neis import Keys, NeisClient

    school_id, office_code, code, services = school
    client = NeisClient(base_url=base_url, keys=Keys([KEY]))
    answer = client.of_school(
        services[0],
        office_code=office_code,
        school_code=code,
        first=FIRST,
        last=FIRST + timedelta(weeks=WEEKS) - timedelta(days=1),
    )
    with connection.cursor() as cursor, cursor.copy("COPY bare FROM STDIN") as copy:
        columns = answer.rows.columns
        # A school that published nothing has no columns.
        days, subjects = columns.get("ALL_TI_YMD", ()), columns.get("ITRT_CNTNT", ())
        for day, rest in zip(days, subjects, strict=True):
            copy.write_row((school_id, day, rest))
    connection.close()
    client.close()
    return len(answer.rows), answer.requests


def _resident_megabytes(pid: int) -> float:
    pids = [pid, *_children(pid)]
    return sum(_resident_pages(each) for each in pids) * os.sysconf("SC_PAGE_SIZE") / 1024**2


def _children(pid: int) -> list[int]:
    found = subprocess.run(["ps", "-o", "pid=", "--ppid", str(pid)], capture_output=True, text=True)
    return [int(line) for line in found.stdout.split()]


def _resident_pages(pid: int) -> int:
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1])


if __name__ == "__main__":
    sys.exit(main())
