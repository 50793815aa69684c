"""What a member of staff tries in the admin who may only look."""

from typing import Any


def post_actions_as_viewer() -> dict[str, int]:
    """Posts every action that a superuser has, and every form of adding; the statuses by address."""
    from django.contrib import admin
    from django.contrib.auth import get_user_model
    from django.contrib.auth.models import Permission
    from django.test import Client, RequestFactory
    from django.urls import reverse

    users = get_user_model().objects
    chief = users.create_superuser("chief", password="for tests only")
    viewer = users.create_user("viewer", password="for tests only", is_staff=True)
    viewer.user_permissions.set(Permission.objects.filter(codename__startswith="view_"))
    client = Client(raise_request_exception=False)
    client.force_login(viewer, backend="django.contrib.auth.backends.ModelBackend")
    request = RequestFactory().get("/")
    request.user = chief
    statuses: dict[str, int] = {}
    for model, site in admin.site._registry.items():
        place = f"admin:{model._meta.app_label}_{model._meta.model_name}"
        keys = [str(key) for key in model._default_manager.values_list("pk", flat=True)[:50]]
        for action in site.get_actions(request):
            form: dict[str, Any] = {"action": action, "_selected_action": keys, "post": "yes"}
            address = reverse(f"{place}_changelist")
            statuses[f"{address}?{action}"] = client.post(address, form).status_code
        address = reverse(f"{place}_add")
        statuses[address] = client.post(address, {}).status_code
    viewer.delete()
    chief.delete()
    return statuses
