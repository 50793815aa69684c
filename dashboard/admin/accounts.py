"""Users and groups. Rights come from groups alone; every account is one for this console."""

from typing import Any

import django.contrib.auth.admin
from django import forms
from django.contrib import admin
from django.contrib.auth.models import Group, Permission, User
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.html import format_html, format_html_join
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from unfold.forms import AdminPasswordChangeForm, UserChangeForm, UserCreationForm
from unfold.widgets import UnfoldAdminCheckboxSelectMultipleWidget

from collection.admin.logged import LoggedAdmin
from dashboard.roles import ROLES

admin.site.unregister(User)
admin.site.unregister(Group)


class GroupChoices(forms.ModelMultipleChoiceField[Group]):
    def label_from_instance(self, obj: Group) -> str:
        return str(ROLES.get(obj.name, obj.name))


_STOCK_PERMISSIONS = {
    "add": _("Add"),
    "change": _("Change"),
    "delete": _("Delete"),
    "view": _("View"),
}


def _label_of(permission: Permission) -> str:
    """Django stores the names of its own four untranslated."""
    kind = permission.content_type
    stock = _STOCK_PERMISSIONS.get(permission.codename.removesuffix(f"_{kind.model}"))
    return f"{kind.name}: {stock or gettext(permission.name)}"


class PermissionChoices(forms.ModelMultipleChoiceField[Permission]):
    def label_from_instance(self, obj: Permission) -> str:
        return _label_of(obj)


@admin.register(User)
class UserAdmin(LoggedAdmin, django.contrib.auth.admin.UserAdmin[User]):
    """Who is no superuser can neither make one nor touch one."""

    form = UserChangeForm
    add_form = UserCreationForm
    change_password_form = AdminPasswordChangeForm
    list_display = ["username", "first_name", "email", "in_groups", "is_active", "last_login"]
    list_filter = ["is_active", "groups"]
    filter_horizontal = ()
    fieldsets = (
        (None, {"fields": ["username", "password"]}),
        (_("Person"), {"fields": ["first_name", "email"]}),
        (_("Rights"), {"fields": ["is_active", "groups", "is_superuser"]}),
        (_("Dates"), {"fields": ["last_login", "date_joined"]}),
    )
    add_fieldsets = (
        (None, {"fields": ["username", "password1", "password2", "first_name", "groups"]}),
    )

    def get_queryset(self, request: HttpRequest) -> QuerySet[User]:
        users: QuerySet[User] = super().get_queryset(request)
        return users.prefetch_related("groups")

    def get_readonly_fields(self, request: HttpRequest, obj: User | None = None) -> list[str]:
        always = ["last_login", "date_joined"]
        return always if request.user.is_superuser else [*always, "is_superuser"]

    def has_change_permission(self, request: HttpRequest, obj: User | None = None) -> bool:
        return self._is_within_reach(request, obj) and super().has_change_permission(request, obj)

    def has_delete_permission(self, request: HttpRequest, obj: User | None = None) -> bool:
        return self._is_within_reach(request, obj) and super().has_delete_permission(request, obj)

    def _is_within_reach(self, request: HttpRequest, obj: User | None) -> bool:
        return request.user.is_superuser or obj is None or not obj.is_superuser

    def formfield_for_manytomany(
        self, db_field: Any, request: HttpRequest, **kwargs: Any
    ) -> "forms.ModelMultipleChoiceField[Any] | None":
        if db_field.name == "groups":
            return GroupChoices(
                label=_("Groups"),
                queryset=Group.objects.order_by("pk"),
                required=False,
                widget=UnfoldAdminCheckboxSelectMultipleWidget(),
            )
        return super().formfield_for_manytomany(db_field, request, **kwargs)

    def formfield_for_dbfield(self, db_field: Any, request: HttpRequest, **kwargs: Any) -> Any:
        """Without the stock menu beside the groups, which would make another one on the way."""
        field: Any = super().formfield_for_dbfield(db_field, request, **kwargs)
        if db_field.name == "groups":
            field.widget.can_add_related = False
        return field

    def save_model(self, request: HttpRequest, obj: User, form: Any, change: bool) -> None:
        obj.is_staff = True
        super().save_model(request, obj, form, change)

    def get_actions(self, request: HttpRequest) -> dict[str, Any]:
        """Deleting in bulk would not ask whether one of them is a superuser."""
        actions: dict[str, Any] = super().get_actions(request)
        actions.pop("delete_selected", None)
        return actions

    @admin.display(description=_("groups"))
    def in_groups(self, user: User) -> str:
        return ", ".join(str(ROLES.get(group.name, group.name)) for group in user.groups.all())


@admin.register(Group)
class GroupAdmin(LoggedAdmin, django.contrib.auth.admin.GroupAdmin):
    """The groups that are built in stay as they are: docs/permissions.md has them."""

    list_display = ["named", "built_in"]
    ordering = ["pk"]
    filter_horizontal = ()

    def get_queryset(self, request: HttpRequest) -> QuerySet[Group]:
        # A permission tells its name with that of its model.
        groups: QuerySet[Group] = super().get_queryset(request)
        return groups.prefetch_related("permissions__content_type")

    def formfield_for_manytomany(
        self, db_field: Any, request: HttpRequest | None = None, **kwargs: Any
    ) -> "forms.ModelMultipleChoiceField[Any]":
        """Boxes: the stock pair of lists is not to be used without seeing it."""
        return PermissionChoices(
            label=_("Permissions"),
            queryset=Permission.objects.select_related("content_type"),
            required=False,
            widget=UnfoldAdminCheckboxSelectMultipleWidget(),
        )

    def has_change_permission(self, request: HttpRequest, obj: Group | None = None) -> bool:
        return self._is_own(obj) and super().has_change_permission(request, obj)

    def has_delete_permission(self, request: HttpRequest, obj: Group | None = None) -> bool:
        return self._is_own(obj) and super().has_delete_permission(request, obj)

    def get_actions(self, request: HttpRequest) -> dict[str, Any]:
        actions: dict[str, Any] = super().get_actions(request)
        actions.pop("delete_selected", None)
        return actions

    def get_fields(self, request: HttpRequest, obj: Group | None = None) -> Any:
        return ["name", "permissions"] if self._is_own(obj) else ["named", "allowed"]

    def _is_own(self, obj: Group | None) -> bool:
        return obj is None or obj.name not in ROLES

    @admin.display(description=_("group"))
    def named(self, group: Group) -> str:
        return str(ROLES.get(group.name, group.name))

    @admin.display(description=_("Permissions"))
    def allowed(self, group: Group) -> str:
        labels = ((_label_of(permission),) for permission in group.permissions.all())
        return format_html("<ul>{}</ul>", format_html_join("", "<li>{}</li>", labels))

    @admin.display(description=_("built in"), boolean=True)
    def built_in(self, group: Group) -> bool:
        return group.name in ROLES
