"""Failed attempts to log in, and the locks that come of them."""

from axes.models import AccessAttempt
from axes.utils import reset
from django.conf import settings
from django.contrib import admin
from django.db import transaction
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils import timezone
from django.utils.translation import gettext_lazy as _
from django.utils.translation import gettext_noop, ngettext

from collection import audit
from collection.admin.logged import ReadOnlyAdmin


@admin.register(AccessAttempt)
class AccessAttemptAdmin(ReadOnlyAdmin):
    list_display = ["username", "ip_address", "failures_since_start", "is_locked", "attempt_time"]
    search_fields = ["=username", "=ip_address"]
    fields = ["username", "ip_address", "failures_since_start", "attempt_time", "user_agent"]
    actions = ["lift"]

    @admin.display(description=_("locked"), boolean=True)
    def is_locked(self, attempt: AccessAttempt) -> bool:
        lasts = timezone.now() - attempt.attempt_time < settings.AXES_COOLOFF_TIME
        return lasts and attempt.failures_since_start >= settings.AXES_FAILURE_LIMIT

    def has_lift_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("axes.delete_accessattempt")

    @admin.action(description=_("Lift the lock"), permissions=["lift"])
    def lift(self, request: HttpRequest, chosen: QuerySet[AccessAttempt]) -> None:
        with transaction.atomic():
            attempts = list(chosen)
            for attempt in attempts:
                audit.record(request.user, attempt, self._forgotten(attempt))
                reset(username=attempt.username, ip=attempt.ip_address)
        text = ngettext("%(count)d lock was lifted.", "%(count)d locks were lifted.", len(attempts))
        self.message_user(request, text % {"count": len(attempts)})

    def _forgotten(self, attempt: AccessAttempt) -> audit.Change:
        return audit.change(gettext_noop("Failed attempts"), attempt.failures_since_start, 0)
