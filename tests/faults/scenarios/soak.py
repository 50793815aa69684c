"""All faults mixed, for as long as wanted (F40)."""

import signal
import statistics
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

from collection.neis_emulator import Fault
from tests.faults.rig import LEASE, Process, Rig
from tests.faults.scenarios import scenario


@dataclass
class Size:
    """How long the soak goes on at least, for how many fetches at least, and how often it hits."""

    minutes: float = 30
    fetches: int = 40_000
    pause_seconds: float = 10


SIZE = Size()
_WARM_UP = 0.2
_STOPPED_SECONDS = 1.5 * LEASE


@scenario(
    "F40",
    inject="Every 10 s one of: a worker killed, one stopped past its lease, Redis emptied, "
    "PostgreSQL crashed, NEIS out of order for 5 s",
    expect="Everything right; Redis under 20 MB; memory flat after warm-up; half the clean speed",
    schools=2000,
    quick_schools=100,
    weeks=1,
    world={"levels": ("elementary", "middle")},
    settings={"FETCH_MAX_FAILURES": "30"},
)
def soak(rig: Rig) -> None:
    # One that is stopped may stand in a transaction.
    rig.most_idle_in_transaction = _STOPPED_SECONDS + 5
    workers = rig.workers()
    rig.beat()
    rig.pump()
    begun = time.monotonic()
    run = rig.start_run()
    rig.wait_for_end(run, seconds=1800)
    clean = len(rig.world.schools) / (time.monotonic() - begun)
    over = threading.Event()
    mischief = threading.Thread(target=_mischief, args=[rig, workers, over], daemon=True)
    mischief.start()
    begun, fetches = time.monotonic(), 0
    minutes, most = (SIZE.minutes, SIZE.fetches) if rig.full else (0.5, 200)
    while fetches < most or time.monotonic() - begun < minutes * 60:
        rig.world.revision += 1
        rig.wait_for_end(rig.start_run(), seconds=1800)
        fetches += len(rig.world.schools)
    seconds = time.monotonic() - begun
    over.set()
    mischief.join(60)
    rig.notes.append(
        f"{fetches} fetches in {seconds:.0f} s: {fetches / seconds:.1f}/s, clean {clean:.1f}/s"
    )
    rig.bound("Redis MB", rig.sampler.peaks["Redis MB"], 20)
    if rig.full:
        rig.bound("clean speed / speed", clean / (fetches / seconds), 2)
        rig.bound("memory after / before", _growth(rig, begun), 1.2)


def _mischief(rig: Rig, workers: list[Process], over: threading.Event) -> None:
    kinds: list[Callable[[Rig, list[Process]], None]] = [
        _kill, _stop, _empty_redis, _crash_postgres, _break_neis,
    ]  # fmt: skip
    while not over.wait(SIZE.pause_seconds if rig.full else 4):
        rig.random.choice(kinds)(rig, workers)


def _kill(rig: Rig, workers: list[Process]) -> None:
    rig.kill(rig.random.choice(workers))


def _stop(rig: Rig, workers: list[Process]) -> None:
    rig.injected.note("worker stopped")
    victim = rig.random.choice(workers)
    victim.send(signal.SIGSTOP)
    pid = victim.pid

    def wake() -> None:
        if victim.pid == pid:
            victim.send(signal.SIGCONT)

    threading.Timer(_STOPPED_SECONDS, wake).start()


def _empty_redis(rig: Rig, workers: list[Process]) -> None:
    rig.flush_redis()


def _crash_postgres(rig: Rig, workers: list[Process]) -> None:
    rig.crash_postgres()
    rig.postgres.start()


def _break_neis(rig: Rig, workers: list[Process]) -> None:
    rig.injected.note("NEIS out of order")
    rig.emulator.faults.switch([Fault("http_503")])
    threading.Timer(5, rig.right).start()


def _growth(rig: Rig, begun: float) -> float:
    """Median memory of the last part to that of the one after warm-up."""
    values = [megabytes for _, megabytes in rig.sampler.rss]
    part = max(1, int(len(values) * _WARM_UP))
    return statistics.median(values[-part:]) / statistics.median(values[part : 2 * part])
