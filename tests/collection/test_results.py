"""Outcomes of tasks that have expired."""

from datetime import timedelta

import pytest
from celery import current_app
from django.utils import timezone
from django_celery_results.models import TaskResult
from pytest_django import DjangoAssertNumQueries

from collection import results

pytestmark = pytest.mark.django_db


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
