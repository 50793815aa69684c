"""What a campaign found, as lines of a table, Markdown and JSON."""

import json
from collections.abc import Sequence
from pathlib import Path

from tests.faults.running import Result
from tests.faults.scenarios import SCENARIOS

HEAD = (
    "| # | injected | N | outcome | missing / doubled / wrong / extra | attempts (most) "
    "| requests / least | stale refused | progress s (median, most) | Redis MB | connections "
    "(PG, Redis) | RSS MB | s (CPU s) |\n|---|---|---|---|---|---|---|---|---|---|---|---|---|\n"
)


def line(result: Result, off: str = "") -> str:
    reasons = "; ".join(result.reasons())
    without = f" without {off}" if off else ""
    return f"{result.name}{without:24} {result.word:8} {result.seconds:6.1f} s  {reasons[:200]}"


def write(results: Sequence[tuple[Result, str]], output: Path, *, controls: bool) -> None:
    name = "controls" if controls else "report"
    documents = [{**result.as_json(), "without": off} for result, off in results]
    (output / f"{name}.json").write_text(json.dumps(documents, indent=2, default=str) + "\n")
    text = _controls(results) if controls else _scenarios(results)
    (output / f"{name}.md").write_text(text)


def _scenarios(results: Sequence[tuple[Result, str]]) -> str:
    lines = [_row(result) for result, _ in results]
    bounds = [
        f"- {result.name}: "
        + ("; ".join(f"{b.name} {b.measured:g} (≤ {b.most:g})" for b in result.bounds))
        + ("".join(f"; {note}" for note in result.notes))
        for result, _ in results
        if result.bounds or result.notes
    ]
    seed = results[0][0].seed if results else ""
    return f"Seed {seed}.\n\n{HEAD}" + "\n".join(lines) + "\n\n" + "\n".join(bounds) + "\n"


def _row(result: Result) -> str:
    found, told = result.verdict, result.figures
    faults = ", ".join(f"{count} × {kind}" for kind, count in told.get("faults", {}).items())
    progress = told.get("progress s") or ["", ""]
    cells = [
        result.name,
        faults or SCENARIOS[result.name].inject,
        told.get("fetches", ""),
        result.word,
        f"{found.missing} / {found.doubled} / {found.wrong} / {found.extra}",
        f"{told.get('attempts', '')} ({told.get('most attempts', '')})",
        f"{told.get('requests', '')} / {told.get('least requests', '')}",
        told.get("stale writes refused", ""),
        ", ".join(map(str, progress)),
        told.get("Redis MB", ""),
        f"{told.get('PostgreSQL connections', 0):g}, {told.get('Redis connections', 0):g}",
        told.get("RSS MB", ""),
        f"{result.seconds} ({told.get('CPU s', '')})",
    ]
    return "| " + " | ".join(map(str, cells)) + " |"


def _controls(results: Sequence[tuple[Result, str]]) -> str:
    head = "| # | without | outcome | why |\n|---|---|---|---|\n"
    rows = [
        f"| {result.name} | {off} | {result.word} | {'; '.join(result.reasons())[:160]} |"
        for result, off in results
    ]
    return head + "\n".join(rows) + "\n"
