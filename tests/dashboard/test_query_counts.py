"""Lists ask the same number of queries however long they are: those without a test beside them."""

import pytest
from django.contrib.auth.models import Group
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from dashboard.roles import ADMINISTRATOR
from tests.collection.rows import MONDAY
from tests.dashboard.everything import make_everything
from tests.dashboard.people import client_of

pytestmark = pytest.mark.django_db

LISTS = [
    "/admin/failures/schools/",
    "/admin/failures/attempts/",
    "/admin/failures/tasks/",
    f"/admin/coverage/{MONDAY}/",
    "/admin/timetables/?q=학교",
    "/admin/collection/school/",
    "/admin/collection/office/",
    "/admin/collection/schoollistsync/",
    "/admin/django_celery_beat/periodictask/",
    "/admin/django_celery_results/taskresult/",
    "/admin/auth/user/",
    "/admin/auth/group/",
    "/admin/axes/accessattempt/",
    "/admin/admin/logentry/",
]


@pytest.fixture
def administrator() -> Client:
    return client_of(ADMINISTRATOR)


def queries_of(client: Client, path: str) -> int:
    with CaptureQueriesContext(connection) as queries:
        assert client.get(path).status_code == 200
    return len(queries)


def test_lists_ask_the_same_number_of_queries_for_ten_times_the_rows(
    administrator: Client,
) -> None:
    make_everything(count=2)
    for path in LISTS:  # The content types are looked up once for each process.
        administrator.get(path)
    few = {path: queries_of(administrator, path) for path in LISTS}

    make_everything(first=2, count=18)

    assert {path: queries_of(administrator, path) for path in LISTS} == few
    assert max(few.values()) <= 20


def test_a_group_with_every_permission_is_shown_in_few_queries(administrator: Client) -> None:
    group = Group.objects.get(name=ADMINISTRATOR)

    assert queries_of(administrator, f"/admin/auth/group/{group.pk}/change/") <= 10
