"""Who looks at a page: by permissions, by role, or nobody."""

from django.contrib.auth.models import Group, Permission, User
from django.test import Client

from dashboard.roles import ADMINISTRATOR, OPERATOR, VIEWER

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


NOBODY = "nobody"
ROLES = (NOBODY, VIEWER, OPERATOR, ADMINISTRATOR)


def make_user(role: str) -> User:
    user = User.objects.create(username=role.lower(), is_staff=True)
    user.groups.add(Group.objects.get(name=role))
    return user


def client_of(role: str, *, language: str = "en") -> Client:
    client = Client(headers={"accept-language": language})
    if role != NOBODY:
        user = User.objects.filter(username=role.lower()).first() or make_user(role)
        client.force_login(user, backend="django.contrib.auth.backends.ModelBackend")
    return client
