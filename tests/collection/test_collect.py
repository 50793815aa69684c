"""Starting a run of a job from the command line."""

import re
import time
from datetime import UTC, datetime
from io import StringIO

import pytest
from django.core.management import call_command
from pytest_django import Settings

from collection import stopping
from collection.models import Breaker, Job, Run, RunState, UpstreamState
from tests.collection.ledger import make_fetch, make_run, make_school

pytestmark = pytest.mark.django_db


def collect(**options: object) -> tuple[int, str]:
    """The exit status and what was said on standard error."""
    said = StringIO()
    with pytest.raises(SystemExit) as ended:
        call_command("collect", stderr=said, **options)
    assert isinstance(ended.value.code, int)
    return ended.value.code, said.getvalue()


def test_open_run_is_named_and_no_other_starts_when_the_job_has_one(settings: Settings) -> None:
    settings.NEIS_API_KEYS = ("key",)
    make_school()
    job = Job.objects.create(name="job")
    run = make_run(job=job)

    code, said = collect(job="job")

    assert code == 2
    assert f"collect --follow {run.pk}" in said
    assert Run.objects.get(state=RunState.RUNNING) == run


def test_nothing_starts_when_there_is_no_key(settings: Settings) -> None:
    settings.NEIS_API_KEYS = ()
    Job.objects.create(name="job")

    code, said = collect(job="job")

    assert code == 2
    assert "NEIS_API_KEYS" in said
    assert not Run.objects.exists()


def test_follower_is_told_why_nothing_is_begun(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    run = make_run()
    make_fetch(run=run)
    stopping.stop(by=None)
    down_since = datetime(2026, 5, 18, 1, 30, tzinfo=UTC)
    UpstreamState.objects.create(state=Breaker.OPEN, down_since=down_since, probe_at=down_since)
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.setattr(time, "sleep", _interrupt)

    code, said = collect(follow=run.pk)

    bar = capsys.readouterr().err
    assert code == 130
    assert f"collect --follow {run.pk}" in said
    assert re.search(r"All collecting is stopped since \d{4}-\d\d-\d\d \d\d:\d\d", bar)
    assert "NEIS is down since 2026-05-18 10:30" in bar


def _interrupt(seconds: float) -> None:
    raise KeyboardInterrupt
