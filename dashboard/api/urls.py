from django.urls import path

from dashboard.api import views

urlpatterns = [
    path("overview", views.show_overview, name="api-overview"),
    path("runs", views.list_runs, name="api-run-list"),
    path("runs/<int:run_id>", views.show_run, name="api-run"),
]
