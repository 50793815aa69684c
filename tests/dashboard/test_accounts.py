"""Who may come in, who makes accounts, and what the log shows of it."""

import pytest
from axes.models import AccessAttempt
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import Group, Permission, User
from django.core.management import call_command
from django.test import Client
from django.utils.translation import override

from collection import audit
from dashboard.roles import ADMINISTRATOR, OPERATOR, ROLES, VIEWER
from tests.dashboard.people import client_of, make_user

LOGIN = "/admin/login/?next=/admin/"
USERS = "/admin/auth/user/"
GROUPS = "/admin/auth/group/"
LOCKS = "/admin/axes/accessattempt/"
PASSWORD = "a-long-passphrase"

pytestmark = pytest.mark.django_db


def log_in(client: Client, password: str) -> int:
    response = client.post(LOGIN, {"username": "somebody", "password": password})
    return response.status_code


def test_a_migration_gives_the_groups_their_permissions_back() -> None:
    Group.objects.get(name=VIEWER).delete()
    Group.objects.get(name=OPERATOR).permissions.clear()
    Permission.objects.filter(codename="operate_run").delete()

    call_command("migrate", verbosity=0)

    assert set(Group.objects.values_list("name", flat=True)) >= set(ROLES)
    operators = Group.objects.get(name=OPERATOR).permissions
    assert operators.filter(codename="operate_run").exists()
    assert not operators.filter(codename__startswith="delete_").exists()


def test_a_user_is_made_for_the_console_and_logs_in() -> None:
    operators = Group.objects.get(name=OPERATOR)

    response = client_of(ADMINISTRATOR).post(
        f"{USERS}add/",
        {"username": "somebody", "password1": PASSWORD, "password2": PASSWORD,
         "usable_password": "true", "first_name": "아무개", "groups": [operators.pk]},
    )  # fmt: skip

    assert response.status_code == 302
    user = User.objects.get(username="somebody")
    assert user.is_staff
    assert list(user.groups.all()) == [operators]
    assert log_in(Client(), PASSWORD) == 302


def test_the_log_shows_groups_and_never_a_password() -> None:
    user = User.objects.create_user("somebody", password=PASSWORD, is_staff=True)
    administrator = client_of(ADMINISTRATOR)
    groups = [Group.objects.get(name=VIEWER).pk]

    administrator.post(
        f"{USERS}{user.pk}/change/", {"username": "somebody", "is_active": "on", "groups": groups}
    )
    administrator.post(
        f"{USERS}{user.pk}/password/",
        {"password1": "another-passphrase", "password2": "another-passphrase",
         "usable_password": "true"},
    )  # fmt: skip

    first, second = LogEntry.objects.order_by("pk")
    assert audit.values_of(first) == [audit.Change("groups", "", "Viewer")]
    assert "passphrase" not in second.change_message
    user.refresh_from_db()
    assert user.check_password("another-passphrase")


def test_an_administrator_can_neither_become_a_superuser_nor_touch_one() -> None:
    chief = User.objects.create_superuser("chief", password=PASSWORD)
    administrator = client_of(ADMINISTRATOR)
    myself = User.objects.get(username="administrator")

    administrator.post(
        f"{USERS}{myself.pk}/change/",
        {"username": "administrator", "is_active": "on", "is_superuser": "on", "groups": []},
    )
    for path in ("change", "password", "delete"):
        response = administrator.post(
            f"{USERS}{chief.pk}/{path}/",
            {"post": "yes", "username": "x", "password1": "x-passphrase-x",
             "password2": "x-passphrase-x", "usable_password": "true"},
        )  # fmt: skip
        assert response.status_code == 403

    assert list(User.objects.filter(is_superuser=True)) == [chief]
    chief.refresh_from_db()
    assert chief.check_password(PASSWORD)


def test_who_has_done_something_can_be_deactivated_but_not_deleted() -> None:
    User.objects.filter(pk=make_user(ADMINISTRATOR).pk).update(is_superuser=True)
    superuser = client_of(ADMINISTRATOR)
    busy, idle = make_user(OPERATOR), make_user(VIEWER)
    audit.record(busy, busy, audit.change("anything", 1, 2))

    refused = superuser.post(f"{USERS}{busy.pk}/delete/", {"post": "yes"})
    superuser.post(f"{USERS}{idle.pk}/delete/", {"post": "yes"})

    assert refused.status_code == 403
    assert list(User.objects.exclude(username=ADMINISTRATOR.lower())) == [busy]
    assert LogEntry.objects.filter(user=busy).exists()


def test_a_built_in_group_stays_and_one_of_ones_own_can_be_made() -> None:
    administrator = client_of(ADMINISTRATOR)
    viewers = Group.objects.get(name=VIEWER)

    assert administrator.post(f"{GROUPS}{viewers.pk}/delete/", {"post": "yes"}).status_code == 403
    assert administrator.post(f"{GROUPS}{viewers.pk}/change/", {"name": "x"}).status_code == 403
    assert administrator.post(f"{GROUPS}add/", {"name": "Press"}).status_code == 302
    assert Group.objects.filter(name="Press").exists()


def test_after_five_failures_an_account_is_locked_and_an_administrator_lifts_it() -> None:
    User.objects.create_user("somebody", password=PASSWORD, is_staff=True)
    somebody = Client(headers={"accept-language": "ko"})
    for _ in range(5):
        last = somebody.post(LOGIN, {"username": "somebody", "password": "wrong"})
    assert last.status_code == 429
    assert "dashboard/locked_out.html" in [template.name for template in last.templates]
    assert log_in(somebody, PASSWORD) == 429

    attempt = AccessAttempt.objects.get()
    client_of(ADMINISTRATOR).post(
        LOCKS, {"action": "lift", "_selected_action": [attempt.pk], "index": "0"}
    )

    assert log_in(somebody, PASSWORD) == 302
    (entry,) = LogEntry.objects.all()
    with override("en"):
        assert audit.values_of(entry) == [audit.Change("Failed attempts", "6", "0")]


def test_the_language_is_chosen_before_anybody_logs_in() -> None:
    client = Client(headers={"accept-language": "ko"})
    page = client.get(LOGIN).content.decode()
    assert 'lang="ko"' in page
    assert 'value="en"' in page

    response = client.post("/i18n/setlang/", {"language": "en", "next": LOGIN})

    assert response.headers["Location"] == LOGIN
    assert "Log in" in client.get(LOGIN).content.decode()


def test_the_log_and_the_history_of_a_thing_show_old_and_new() -> None:
    viewer = make_user(VIEWER)
    audit.record(viewer, viewer, audit.change("groups", "", "Viewer"))

    for path in ("/admin/admin/logentry/", f"{USERS}{viewer.pk}/history/"):
        text = client_of(ADMINISTRATOR).get(path).content.decode()
        assert "<ins>Viewer</ins>" in text
