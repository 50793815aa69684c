"""Outcomes of tasks: stored in one statement without any key, and deleted when they expire."""

from datetime import timedelta
from typing import Any

import pytest
from celery import current_app, states
from celery.app.task import Context
from django.utils import timezone
from django_celery_results.models import TaskResult
from pytest_django import DjangoAssertNumQueries

from collection import results
from collection.results import SafeDatabaseBackend

pytestmark = pytest.mark.django_db

KEY = "0123secret"
REQUEST = {
    "id": "1",
    "task": "collection.fetch_school",
    "argsrepr": "(7,)",
    "kwargsrepr": "{}",
    "hostname": "worker@here",
    "periodic_task_name": "nightly",
}


@pytest.fixture
def backend(settings: Any) -> SafeDatabaseBackend:
    settings.NEIS_API_KEYS = (KEY,)
    return SafeDatabaseBackend(app=current_app)


def stored() -> Any:
    return TaskResult.objects.get(task_id="1")


def test_outcome_replaces_the_start_when_both_are_stored(
    backend: SafeDatabaseBackend,
    django_assert_num_queries: DjangoAssertNumQueries,
) -> None:
    request = Context(REQUEST)
    with django_assert_num_queries(1):
        backend.store_result("1", {"pid": 1}, states.STARTED, request=request)
    began = stored()

    with django_assert_num_queries(1):
        backend.store_result("1", {"fetch": 7}, states.SUCCESS, request=request)

    ended = stored()
    assert (ended.status, ended.result, ended.traceback) == ("SUCCESS", '{"fetch": 7}', None)
    assert (ended.task_name, ended.worker) == ("collection.fetch_school", "worker@here")
    assert (ended.task_args, ended.task_kwargs) == ('"(7,)"', '"{}"')
    assert (ended.periodic_task_name, ended.meta) == ("nightly", '{"children": []}')
    assert began.date_started
    assert (ended.date_created, ended.date_started) == (began.date_created, began.date_started)
    assert ended.date_done > began.date_done
    assert backend.get_result("1") == {"fetch": 7}


def test_key_is_hidden_when_a_failure_quotes_it(backend: SafeDatabaseBackend) -> None:
    error = ValueError(f"no such page: {KEY}")

    backend.store_result("1", error, states.FAILURE, f"at {KEY}", request=Context(REQUEST))

    kept = stored()
    assert kept.status == "FAILURE"
    assert "no such page" in kept.result
    assert "at [hidden]" in kept.traceback
    assert KEY not in f"{kept.result} {kept.traceback} {kept.meta}"


def test_what_expired_is_deleted_in_batches_and_the_rest_stays(
    monkeypatch: pytest.MonkeyPatch, django_assert_max_num_queries: DjangoAssertNumQueries
) -> None:
    monkeypatch.setattr(results, "CLEANED_AT_ONCE", 3)
    TaskResult.objects.bulk_create(TaskResult(task_id=str(number)) for number in range(8))
    old = [str(number) for number in range(7)]
    TaskResult.objects.filter(task_id__in=old).update(date_done=timezone.now() - timedelta(days=31))

    # A look and a deletion for each batch; then a last look at both tables.
    with django_assert_max_num_queries(3 * 2 + 2):
        current_app.backend.cleanup()

    assert list(TaskResult.objects.values_list("task_id", flat=True)) == ["7"]
