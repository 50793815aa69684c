"""Who may do what: three groups that the product brings along.

`migrate` makes them, and gives each what this file says, every time: a permission that a later
version adds reaches its group then, and a database that was emptied has its groups again. That is
why it hangs on post_migrate, as Django's own permissions do, and not on one migration, which
runs once and may run before the permissions of other applications exist. The groups can't be
edited in the console; who needs another set makes a group of their own.
"""

from collections.abc import Iterable
from typing import Any

from django.apps import AppConfig, apps
from django.contrib.auth.management import create_permissions
from django.contrib.auth.models import Group, Permission
from django.db.models import Q, QuerySet
from django.utils.translation import gettext_lazy as _

VIEWER, OPERATOR, ADMINISTRATOR = "Viewer", "Operator", "Administrator"
ROLES = {
    VIEWER: _("Viewer"),
    OPERATOR: _("Operator"),
    ADMINISTRATOR: _("Administrator"),
}

# Besides looking at everything of the collection.
_VIEWER = (
    "django_celery_beat.view_periodictask",
    "django_celery_beat.view_crontabschedule",
    "django_celery_beat.view_intervalschedule",
    "django_celery_results.view_taskresult",
    "django_celery_results.view_groupresult",
)
_OPERATOR = (
    "collection.add_job",
    "collection.change_job",
    "collection.operate_run",
    "collection.decide_heldweek",
    "collection.operate_stopswitch",
    "collection.export_data",
    "collection.test_alert",
    "django_celery_beat.add_periodictask",
    "django_celery_beat.change_periodictask",
    "django_celery_beat.add_crontabschedule",
    "django_celery_beat.change_crontabschedule",
    "django_celery_beat.add_intervalschedule",
    "django_celery_beat.change_intervalschedule",
    "admin.view_logentry",
)
_ADMINISTRATOR = (
    "collection.delete_job",
    "collection.change_school",
    "django_celery_beat.delete_periodictask",
    "django_celery_beat.delete_crontabschedule",
    "django_celery_beat.delete_intervalschedule",
    "auth.view_user",
    "auth.add_user",
    "auth.change_user",
    "auth.delete_user",
    "auth.view_group",
    "auth.add_group",
    "auth.change_group",
    "auth.delete_group",
    "axes.view_accessattempt",
    "axes.delete_accessattempt",
)
_NAMED = {
    VIEWER: _VIEWER,
    OPERATOR: (*_VIEWER, *_OPERATOR),
    ADMINISTRATOR: (*_VIEWER, *_OPERATOR, *_ADMINISTRATOR),
}


def set_up(sender: AppConfig, using: str, **kwargs: Any) -> None:
    """A receiver of post_migrate."""
    # This application comes before those whose permissions are given here.
    for application in apps.get_app_configs():
        create_permissions(application, verbosity=0, using=using)
    for role in ROLES:
        group, _created = Group.objects.using(using).get_or_create(name=role)
        group.permissions.set(permissions_of(role, using=using))


def permissions_of(role: str, *, using: str = "default") -> QuerySet[Permission]:
    """Those that exist: a permission of a part that is not installed is passed over."""
    everything_seen = Q(content_type__app_label="collection", codename__startswith="view_")
    return Permission.objects.using(using).filter(everything_seen | _any_of(_NAMED[role]))


def _any_of(names: Iterable[str]) -> Q:
    any_of = Q()
    for name in names:
        application, codename = name.split(".")
        any_of |= Q(content_type__app_label=application, codename=codename)
    return any_of
