"""The switch that stops all collecting."""

import pytest
from django.contrib.admin.models import LogEntry
from django.template import Context, Template
from django.test import RequestFactory
from django.utils import translation

from collection import audit, stopping
from dashboard.roles import OPERATOR, VIEWER
from tests.dashboard.people import client_of, make_user

pytestmark = pytest.mark.django_db


def test_stopping_asks_first_then_stops_and_is_in_the_log() -> None:
    operator = client_of(OPERATOR)

    assert "No run begins another school" in operator.get("/admin/stop/").content.decode()
    assert stopping.stopped_since() is None

    operator.post("/admin/stop/")
    operator.post("/admin/stop/")
    assert stopping.stopped_since() is not None

    operator.post("/admin/go-on/")
    assert stopping.stopped_since() is None
    assert [audit.values_of(entry) for entry in LogEntry.objects.order_by("pk")] == [
        [audit.Change("all collecting stopped", "off", "on")],
        [audit.Change("all collecting stopped", "on", "off")],
    ]


def test_a_link_can_not_let_collecting_go_on() -> None:
    stopping.stop(by=None)

    assert client_of(OPERATOR).get("/admin/go-on/").status_code == 405
    assert stopping.stopped_since() is not None


@pytest.mark.parametrize(
    ("role", "stopped", "shown", "hidden"),
    [
        (OPERATOR, False, "/admin/stop/", "/admin/go-on/"),
        (OPERATOR, True, "/admin/go-on/", "/admin/stop/"),
        (VIEWER, True, "All collecting is stopped since", "/admin/go-on/"),
        (VIEWER, False, "", "/admin/stop/"),
    ],
)
def test_any_page_can_show_the_control(role: str, stopped: bool, shown: str, hidden: str) -> None:
    if stopped:
        stopping.stop(by=None)
    request = RequestFactory().get("/")
    request.user = make_user(role)

    with translation.override("en"):
        html = Template("{% load console %}{% stop_switch %}").render(Context({"request": request}))

    assert shown in html
    assert hidden not in html
