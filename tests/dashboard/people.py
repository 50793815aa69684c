"""Who looks at a page."""

from django.contrib.auth.models import Permission, User
from django.test import Client

LOOK = ("view_run", "view_schoolfetch", "view_heldweek", "view_schoolweek")
OPERATE = (*LOOK, "operate_run", "decide_heldweek")


def log_in(client: Client, *permissions: str) -> User:
    """A member of the staff who may do this in the collection, and nothing else."""
    user = User.objects.create_user("somebody", is_staff=True)
    user.user_permissions.set(
        Permission.objects.filter(content_type__app_label="collection", codename__in=permissions)
    )
    client.force_login(user)
    return user
