from django.urls import path

from dashboard.runs import views

urlpatterns = [
    path("runs/", views.list_runs, name="run-list"),
    path("runs/rows/", views.list_run_rows, name="run-rows"),
    path("runs/act/", views.act_on_runs, name="run-act"),
    path("runs/<int:run_id>/", views.show_run, name="run-detail"),
    path("runs/<int:run_id>/progress/", views.show_progress, name="run-progress"),
    path("runs/<int:run_id>/fetches/", views.list_fetch_rows, name="fetch-rows"),
    path("runs/<int:run_id>/fetches/act/", views.act_on_fetches, name="fetch-act"),
    path("fetches/<int:fetch_id>/", views.show_fetch, name="fetch-detail"),
]
