"""Jobs: what operators create, edit, switch on and run."""

from collections.abc import Sequence
from typing import Any

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.db import transaction
from django.db.models import Model, QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import get_object_or_404
from django.template.loader import render_to_string
from django.template.response import TemplateResponse
from django.urls import URLPattern, path
from django.utils import timezone
from django.utils.translation import gettext_lazy as _
from unfold.views import ChangeList

from collection import switching
from collection.admin import job_list, job_running, job_switching
from collection.admin.job_form import JobForm
from collection.admin.job_list import Row
from collection.admin.job_preview import read_preview
from collection.admin.job_schedule import FIELDS as SCHEDULE_FIELDS
from collection.admin.job_schedule import TIME_ZONES
from collection.admin.logged import LoggedAdmin
from collection.clock import database_now
from collection.models import Job, Level
from collection.resources import ExchangesRows, JobResource


class JobChangeList(ChangeList):
    """Reads what the rows say of all jobs on the page at once."""

    def get_results(self, request: HttpRequest) -> None:
        super().get_results(request)
        jobs: list[Any] = list(self.result_list)  # type: ignore[has-type]
        rows = job_list.read_rows(jobs, now=timezone.now())
        may_change = self.model_admin.has_change_permission(request)
        may_operate = self.model_admin.has_operate_permission(request)
        for job in jobs:
            job.row, job.may_change, job.may_operate = rows[job.pk], may_change, may_operate
        self.result_list = jobs


@admin.register(Job)
class JobAdmin(ExchangesRows, LoggedAdmin):
    resource_classes = [JobResource]
    import_permissions = ("add", "change")
    form = JobForm
    list_display = ["switch", "named", "when", "next_due", "last_run", "last_runs", "doing"]
    list_display_links = ["named"]
    list_filter = ["dataset", "periodic_task__enabled"]
    list_per_page = 50
    list_select_related = ["periodic_task__crontab", "periodic_task__interval"]
    list_before_template = "admin/collection/job/_message.html"
    list_fullwidth = True
    search_fields = ["name"]
    sortable_by: Sequence[str] = []
    actions = ["switch_on", "switch_off"]
    change_form_after_template = "admin/collection/job/_preview_panel.html"
    fieldsets = [
        (_("Job"), {"fields": ["name", "dataset"]}),
        (
            _("What to collect"),
            {"fields": ["levels", "offices", "window_offset", "window_weeks"]},
        ),
        (_("Schedule"), {"fields": [*SCHEDULE_FIELDS, "enabled"]}),
        (
            _("If something is in the way"),
            {"fields": ["overlap", "missed", "missed_within_hours"]},
        ),
        (_("Limits"), {"fields": ["priority", "most_at_once"]}),
        (_("Alerts"), {"fields": ["alert", "alert_above_percent", "alert_after_minutes"]}),
    ]
    # For those who may look and not change: what the fields of the form stand for.
    viewed = ["levels_shown", "offices_shown", "when", "next_due"]
    conditional_fields = {
        "levels": "dataset == 'timetable'",
        "window_offset": "dataset == 'timetable'",
        "window_weeks": "dataset == 'timetable'",
        "weekdays": "kind == 'weekly'",
        "time_of_day": "kind == 'weekly'",
        "time_zone": "kind == 'weekly' || kind == 'crontab'",
        "every": "kind == 'interval'",
        "period": "kind == 'interval'",
        "crontab": "kind == 'crontab'",
        "enabled": "kind != 'none'",
        "missed_within_hours": "missed == 'run_once'",
        "alert_above_percent": "alert",
        "alert_after_minutes": "alert",
    }

    class Media:
        css = {"all": ["dashboard/jobs.css"]}

    # --- Pages ---------------------------------------------------------------------------------

    def get_urls(self) -> list[URLPattern]:
        views = [
            ("preview/", self.preview, "preview"),
            ("<int:job_id>/preview/", self.preview, "preview-of"),
            ("<int:job_id>/switch/", self.switch_view, "switch"),
            ("<int:job_id>/run/", self.run_view, "run"),
            ("<int:job_id>/pause/", self.pause_view, "pause"),
        ]
        own = [
            path(route, self.admin_site.admin_view(view), name=f"collection_job_{name}")
            for route, view, name in views
        ]
        return [*own, *super().get_urls()]

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[ChangeList]:
        return JobChangeList

    def get_fieldsets(self, request: HttpRequest, obj: Model | None = None) -> Any:
        if obj is None or self.has_change_permission(request, obj):
            return self.fieldsets
        shown = {"levels": "levels_shown", "offices": "offices_shown"}
        job, what, schedule, *others = self.fieldsets
        fields = [shown.get(name, name) for name in what[1]["fields"]]
        return [
            job,
            (what[0], {"fields": fields}),
            (schedule[0], {"fields": ["when", "next_due"]}),
            *others,
        ]

    def get_readonly_fields(self, request: HttpRequest, obj: Model | None = None) -> list[str]:
        if obj is None or self.has_change_permission(request, obj):
            return []
        return self.viewed

    def render_change_form(
        self, request: HttpRequest, context: dict[str, Any], *args: Any, **kwargs: Any
    ) -> HttpResponse:
        context["time_zones"] = sorted(TIME_ZONES)
        return super().render_change_form(request, context, *args, **kwargs)

    # --- Saving --------------------------------------------------------------------------------

    def save_model(self, request: HttpRequest, obj: Job, form: JobForm, change: bool) -> None:
        """In the transaction that the page of the admin is."""
        super().save_model(request, obj, form, change)
        if form.schedule is None:
            switching.remove_schedule(obj)
            return
        switching.set_schedule(
            obj, form.schedule, enabled=form.cleaned_data["enabled"], now=database_now()
        )

    def delete_model(self, request: HttpRequest, obj: Job) -> None:
        switching.remove_schedule(obj)
        super().delete_model(request, obj)

    def delete_queryset(self, request: HttpRequest, queryset: QuerySet[Job]) -> None:
        with transaction.atomic():
            for job in queryset:
                switching.remove_schedule(job)
            super().delete_queryset(request, queryset)

    def preview(self, request: HttpRequest, job_id: int | None = None) -> HttpResponseBase:
        """A fragment beside the form, which asks for it while somebody types."""
        job = get_object_or_404(Job, pk=job_id) if job_id else None
        may = self.has_change_permission(request, job) if job else self.has_add_permission(request)
        if not may:
            raise PermissionDenied
        form = self.get_form(request, job, change=job is not None)(request.POST, instance=job)
        # Who has only begun knows that the name is still to come.
        form.fields["name"].required = False
        return TemplateResponse(
            request,
            "admin/collection/job/_preview.html",
            {"preview": read_preview(form, now=database_now())},
        )

    # --- Doing ---------------------------------------------------------------------------------

    def has_operate_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("collection.operate_run")

    @admin.action(description=_("Switch on"), permissions=["change"])
    def switch_on(self, request: HttpRequest, chosen: QuerySet[Job]) -> None:
        self._switch(request, chosen, on=True)

    @admin.action(description=_("Switch off"), permissions=["change"])
    def switch_off(self, request: HttpRequest, chosen: QuerySet[Job]) -> None:
        self._switch(request, chosen, on=False)

    def _switch(self, request: HttpRequest, chosen: QuerySet[Job], *, on: bool) -> None:
        switched = job_switching.switch(chosen, on=on, by=request.user, now=database_now())
        self.message_user(request, job_switching.in_words(switched, on=on, now=timezone.now()))
        if chosen.filter(periodic_task__isnull=True).exists():
            self.message_user(request, job_switching.WITHOUT_SCHEDULE, messages.WARNING)

    def switch_view(self, request: HttpRequest, job_id: int) -> HttpResponseBase:
        if not self.has_change_permission(request):
            raise PermissionDenied
        return job_switching.switch_in_place(request, job_id)

    def run_view(self, request: HttpRequest, job_id: int) -> HttpResponseBase:
        if not self.has_operate_permission(request):
            raise PermissionDenied
        return job_running.confirm_or_run(request, self, job_id)

    def pause_view(self, request: HttpRequest, job_id: int) -> HttpResponseBase:
        if not self.has_operate_permission(request):
            raise PermissionDenied
        return job_running.pause_or_resume(request, job_id)

    # --- Columns -------------------------------------------------------------------------------

    @admin.display(description=_("on"))
    def switch(self, job: Job) -> str:
        context = {"job": job, "may_change": getattr(job, "may_change", False)}
        return render_to_string("admin/collection/job/_switch.html", context)

    @admin.display(description=_("job"), ordering="name")
    def named(self, job: Job) -> str:
        return job.name

    @admin.display(description=_("schedule"))
    def when(self, job: Job) -> str:
        return _row_of(job).schedule or str(_("By hand alone"))

    @admin.display(description=_("next due"))
    def next_due(self, job: Job) -> str:
        context = {"job": job, "next_at": _row_of(job).next_at}
        return render_to_string("admin/collection/job/_next_due.html", context)

    @admin.display(description=_("last run"))
    def last_run(self, job: Job) -> str:
        return render_to_string("admin/collection/job/_last_run.html", {"row": _row_of(job)})

    @admin.display(description=_("last ten runs"))
    def last_runs(self, job: Job) -> str:
        return render_to_string("admin/collection/job/_last_runs.html", {"row": _row_of(job)})

    @admin.display(description="")
    def doing(self, job: Job) -> str:
        may_operate = getattr(job, "may_operate", False)
        context = {"job": job, "row": _row_of(job), "may_operate": may_operate}
        return render_to_string("admin/collection/job/_doing.html", context)

    @admin.display(description=_("school levels"))
    def levels_shown(self, job: Job) -> str:
        return ", ".join(str(Level(level).label) for level in job.levels) or str(_("All levels"))

    @admin.display(description=_("education offices"))
    def offices_shown(self, job: Job) -> str:
        names = ", ".join(office.name for office in job.offices.all())
        return names or str(_("All offices"))


def _row_of(job: Job) -> Row:
    """As the list read it; by itself on the page of one job."""
    row: Row | None = getattr(job, "row", None)
    return row or job_list.read_rows([job], now=timezone.now())[job.pk]
