"""Who is refused or lost stays in the console, and outsiders are told nothing of it."""

import pytest
from django.test import Client

from dashboard.roles import VIEWER
from tests.dashboard.people import client_of

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize(
    ("path", "status", "text"),
    [
        ("/admin/runs/99/", 404, "이 주소에는 화면이나 자료가 없습니다"),
        ("/admin/no-such-page/", 404, "이 주소에는 화면이나 자료가 없습니다"),
        ("/admin/stop/", 403, "이 계정에는 권한이 없습니다"),
    ],
)
def test_a_page_that_is_missing_or_not_allowed_is_told_in_the_console(
    path: str, status: int, text: str
) -> None:
    response = client_of(VIEWER, language="ko").get(path)

    page = response.content.decode()
    assert response.status_code == status
    assert text in page
    assert 'href="/admin/runs/"' in page


def test_an_outsider_is_shown_nothing_of_the_console() -> None:
    response = Client().get("/no-such-page/")

    assert response.status_code == 404
    assert "/admin/" not in response.content.decode()
