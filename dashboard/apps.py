from django.apps import AppConfig, apps
from django.db.models.signals import post_migrate
from django.utils.translation import gettext_lazy as _


class DashboardConfig(AppConfig):
    name = "dashboard"
    verbose_name = _("Dashboard")

    def ready(self) -> None:
        # Its models can't be imported before all applications are known.
        from dashboard import roles

        # The dashboard has no models, and post_migrate passes over who has none.
        post_migrate.connect(roles.set_up, sender=apps.get_app_config("collection"))
