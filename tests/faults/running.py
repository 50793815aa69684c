"""Runs one scenario from empty servers to a result."""

import contextlib
import resource
import shutil
import tempfile
import time
import traceback
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from tests.faults.oracle import Verdict
from tests.faults.rig import Bound, Rig, small_world
from tests.faults.scenarios import Scenario
from tests.faults.servers import Postgres


@dataclass
class Result:
    name: str
    seed: int
    verdict: Verdict = field(default_factory=Verdict)
    bounds: list[Bound] = field(default_factory=list)
    figures: dict[str, Any] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    seconds: float = 0.0
    error: str = ""

    @property
    def is_green(self) -> bool:
        bounds_hold = all(bound.holds for bound in self.bounds)
        return not self.error and self.verdict.is_right and bounds_hold

    @property
    def word(self) -> str:
        return "green" if self.is_green else "RED"

    def reasons(self) -> list[str]:
        """Why it is red; of a traceback the lines that name the error."""
        counts = asdict(self.verdict)
        broken = counts.pop("broken")
        return [
            *(f"{count} {name}" for name, count in counts.items() if count),
            *broken,
            *(f"{b.name}: {b.measured} > {b.most}" for b in self.bounds if not b.holds),
            *(line for line in self.error.splitlines()[1:] if line[:1].isalpha()),
        ]

    def as_json(self) -> dict[str, Any]:
        return {
            **asdict(self),
            "outcome": self.word,
            "bounds": [{**asdict(bound), "holds": bound.holds} for bound in self.bounds],
        }


@contextlib.contextmanager
def servers(folder: Path) -> Iterator[Postgres]:
    postgres = Postgres(folder / "postgres")
    try:
        postgres.prepare()
        yield postgres
    finally:
        postgres.thaw()
        postgres.stop()


def run(
    scenario: Scenario,
    postgres: Postgres,
    *,
    seed: int,
    full: bool,
    off: Sequence[str] = (),
    keep: Path | None = None,
) -> Result:
    """`off` names guards to switch off. The folder of a red one is copied into `keep`."""
    result = Result(scenario.name, seed)
    begun, cpu_before = time.monotonic(), _cpu_seconds()
    with tempfile.TemporaryDirectory(
        prefix=f"{scenario.name.lower()}-", ignore_cleanup_errors=True
    ) as folder:
        try:
            _act(scenario, postgres, result, Path(folder), full=full, off=off)
        except Exception:
            result.error = traceback.format_exc()
        if keep is not None and not result.is_green:
            _keep(Path(folder), keep / f"{scenario.name}-{'-'.join(off) or 'red'}")
    result.seconds = round(time.monotonic() - begun, 1)
    result.figures["CPU s"] = round(_cpu_seconds() - cpu_before, 1)
    return result


def _keep(folder: Path, destination: Path) -> None:
    shutil.copytree(
        folder, destination, dirs_exist_ok=True, ignore=shutil.ignore_patterns("run", "lock")
    )


def _cpu_seconds() -> float:
    """Of the harness and of the processes of the product that it started."""
    usages = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(usage.ru_utime + usage.ru_stime for usage in usages)


def _act(
    scenario: Scenario,
    postgres: Postgres,
    result: Result,
    folder: Path,
    *,
    full: bool,
    off: Sequence[str],
) -> None:
    schools = scenario.schools if full else scenario.quick_schools
    world = small_world(result.seed, schools, **scenario.world)
    with postgres.database() as database:
        rig = Rig(
            folder=folder,
            postgres=postgres,
            database=database,
            world=world,
            seed=result.seed,
            full=full,
            off=off,
            settings=scenario.settings,
            weeks=scenario.weeks,
        )
        with rig:
            try:
                rig.sync_schools()
                scenario.act(rig)
                result.verdict = rig.judge()
            finally:
                result.bounds, result.notes = rig.bounds, rig.notes
                result.figures = _figures(rig)


def _figures(rig: Rig) -> dict[str, Any]:
    figures: dict[str, Any] = {
        "schools": len(rig.world.schools),
        "faults": rig.injected.counts(),
        "sprung": len(rig.sprung()),
        "requests": rig.requests(),
        "least requests": rig.least_requests,
        "stale writes refused": rig.refused(),
        **{name: round(value, 1) for name, value in rig.sampler.peaks.items()},
    }
    with contextlib.suppress(Exception):
        figures["fetches"] = rig.database.value("SELECT count(*) FROM collection_schoolfetch")
        figures["attempts"], figures["most attempts"] = rig.attempts()
        progress = rig.injected.progress_seconds(rig.ends())
        if progress:
            figures["progress s"] = [round(seconds, 2) for seconds in progress]
    return figures
