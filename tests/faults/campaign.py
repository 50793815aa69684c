"""Many scenarios in a row: the table as it grows, and the report at the end."""

import argparse
from pathlib import Path

from tests.faults import reporting
from tests.faults.controls import NEGATIVE
from tests.faults.running import Result, run, servers
from tests.faults.scenarios import SCENARIOS
from tests.faults.scenarios.all import soak


def carry_out(arguments: argparse.Namespace, folder: Path) -> int:
    """0 when every scenario is green, or, with --controls, every one red."""
    output: Path = arguments.output
    output.mkdir(parents=True, exist_ok=True)
    print(f"seed {arguments.seed}", flush=True)
    with servers(folder) as postgres:
        results: list[tuple[Result, str]] = []
        for name, off in _chosen(arguments):
            result = run(
                SCENARIOS[name],
                postgres,
                seed=arguments.seed,
                full=not arguments.quick and not off,
                off=[off] if off else [],
                keep=output,
            )
            results.append((result, off))
            print(reporting.line(result, off), flush=True)
            reporting.write(results, output, controls=arguments.controls)
    print(f"The report is in {output}.")
    if arguments.controls:
        return int(any(result.is_green for result, _ in results))
    return int(any(not result.is_green for result, _ in results))


def _chosen(arguments: argparse.Namespace) -> list[tuple[str, str]]:
    names = set(arguments.scenarios)
    if unknown := names - SCENARIOS.keys():
        raise SystemExit(f"There is no {', '.join(sorted(unknown))}.")
    if arguments.controls:
        return [(name, off) for name, off in NEGATIVE if not names or name in names]
    if arguments.soak:
        soak.SIZE.minutes, soak.SIZE.fetches = arguments.soak, arguments.fetches
        return [("F40", "")]
    return [(name, "") for name in sorted(names or SCENARIOS.keys() - {"F40"})]
