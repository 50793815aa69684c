"""The sidebar, in the order of what operators do."""

from typing import Any

from django.http import HttpRequest
from django.urls import reverse
from django.utils.translation import gettext as _


def sidebar(request: HttpRequest) -> list[dict[str, Any]]:
    """Unfold's form: groups of entries, each shown to whom its permission allows it."""
    return [
        _group(
            "",
            _entry(request, _("Overview"), "monitoring", "dashboard:overview", "view_run"),
            _entry(request, _("Runs"), "play_circle", "dashboard:run-list", "view_run"),
            _entry(request, _("Failures"), "error", "dashboard:failure-list", "view_schoolfetch"),
            _entry(request, _("Held weeks"), "front_hand", "dashboard:held-list", "view_heldweek"),
            _entry(request, _("Coverage"), "grid_view", "dashboard:coverage", "view_schoolweek"),
            _entry(
                request,
                _("Timetables"),
                "calendar_view_week",
                "dashboard:timetable-search",
                "view_timetableentry",
            ),
            _entry(request, _("Exports"), "download", "dashboard:export-list", "export_data"),
        ),
        _group(
            _("Plan"),
            _entry(request, _("Alerts"), "notifications", "dashboard:alert-list", "view_alert"),
            _entry(
                request, _("Jobs"), "event_repeat", "admin:collection_job_changelist", "view_job"
            ),
            _entry(
                request,
                _("Schedules"),
                "schedule",
                "admin:django_celery_beat_periodictask_changelist",
                "django_celery_beat.view_periodictask",
            ),
        ),
        _group(
            _("Master data"),
            _entry(
                request, _("Schools"), "school", "admin:collection_school_changelist", "view_school"
            ),
            _entry(
                request,
                _("Education offices"),
                "domain",
                "admin:collection_office_changelist",
                "view_office",
            ),
            _entry(
                request,
                _("School lists"),
                "checklist",
                "admin:collection_schoollistsync_changelist",
                "view_schoollistsync",
            ),
        ),
        _group(
            _("Administration"),
            _entry(request, _("Users"), "person", "admin:auth_user_changelist", "auth.view_user"),
            _entry(request, _("Groups"), "group", "admin:auth_group_changelist", "auth.view_group"),
            _entry(
                request,
                _("Locks"),
                "lock",
                "admin:axes_accessattempt_changelist",
                "axes.view_accessattempt",
            ),
            _entry(
                request,
                _("Log of changes"),
                "history",
                "admin:admin_logentry_changelist",
                "admin.view_logentry",
            ),
            _entry(
                request,
                _("Task results"),
                "receipt_long",
                "admin:django_celery_results_taskresult_changelist",
                "django_celery_results.view_taskresult",
            ),
        ),
    ]


def _group(title: str, *entries: dict[str, Any]) -> dict[str, Any]:
    return {"title": title, "separator": bool(title), "items": list(entries)}


def _entry(
    request: HttpRequest, title: str, icon: str, url_name: str, permission: str
) -> dict[str, Any]:
    """`permission` is one of the collection unless it names another application."""
    full = permission if "." in permission else f"collection.{permission}"
    return {
        "title": title,
        "icon": icon,
        "link": reverse(url_name),
        "permission": lambda request: request.user.has_perm(full),
    }
