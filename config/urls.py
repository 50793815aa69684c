from django.contrib import admin
from django.urls import include, path
from django.views.generic import RedirectView

urlpatterns = [
    path("", RedirectView.as_view(pattern_name="dashboard:overview")),
    path("", include("dashboard.health.urls")),
    path("api/", include("dashboard.api.urls")),
    path("i18n/", include("django.conf.urls.i18n")),
    # The console's own pages stand beside those of the admin, and its front page before them.
    path("admin/", include("dashboard.urls")),
    path("admin/", admin.site.urls),
]

handler403 = "dashboard.views.show_refused"
handler404 = "dashboard.views.show_not_found"
