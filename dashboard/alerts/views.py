"""Alerts: what was noticed, who was told, and a button to see whether messages arrive."""

from django.contrib import messages
from django.db.models import F, QuerySet
from django.http import HttpRequest, HttpResponseRedirect
from django.shortcuts import redirect
from django.template.response import TemplateResponse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_noop
from django.views.decorators.http import require_POST

from collection import audit
from collection.alerting.channels import configured
from collection.alerting.noticing import ask_for_test
from collection.models import Alert
from dashboard.pages import render_fragment, render_page, requires

SHOWN = 50


@requires("collection.view_alert")
def list_alerts(request: HttpRequest) -> TemplateResponse:
    context = {"alerts": _latest(), "channels": [channel.label for channel in configured()]}
    return render_page(request, "dashboard/alerts_list.html", title=_("Alerts"), context=context)


@requires("collection.view_alert")
def list_rows(request: HttpRequest) -> TemplateResponse:
    return render_fragment(request, "dashboard/_alerts_rows.html", {"alerts": _latest()})


@require_POST
@requires("collection.test_alert")
def send_test(request: HttpRequest) -> HttpResponseRedirect:
    channels = configured()
    if not channels:
        messages.error(
            request, _("No channel is set up: set ALERT_EMAILS or ALERT_WEBHOOK_URL, then restart.")
        )
        return redirect("dashboard:alert-list")
    alert = ask_for_test(now=timezone.now(), channels=channels, user_id=request.user.pk)
    audit.record(
        request.user, alert, audit.change(gettext_noop("Send a test message"), "", alert.subject)
    )
    messages.success(
        request, _("The test message goes out within a minute; its state is shown below.")
    )
    return redirect("dashboard:alert-list")


def _latest() -> QuerySet[Alert]:
    """Open alerts first."""
    return (
        Alert.objects.select_related("job", "run")
        .prefetch_related("messages")
        .order_by(F("closed_at").desc(nulls_first=True), "-id")[:SHOWN]
    )
