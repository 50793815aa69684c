from django.urls import path

from dashboard.runs import views

urlpatterns = [
    path("runs/", views.list_runs, name="run-list"),
]
