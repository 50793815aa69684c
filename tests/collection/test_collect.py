"""Starting a run of a job from the command line."""

from io import StringIO

import pytest
from django.core.management import call_command
from pytest_django import Settings

from collection.models import Job, Run, RunState
from tests.collection.ledger import make_run, make_school

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
