from django.urls import include, path

from dashboard import views

app_name = "dashboard"

urlpatterns = [
    path("status/", views.show_status, name="status"),
    path("", include("dashboard.overview.urls")),
    path("", include("dashboard.runs.urls")),
    path("", include("dashboard.failures.urls")),
    path("", include("dashboard.held.urls")),
    path("", include("dashboard.coverage.urls")),
    path("", include("dashboard.timetables.urls")),
    path("", include("dashboard.exports.urls")),
    path("", include("dashboard.alerts.urls")),
    path("", include("dashboard.stopping.urls")),
]
