from django.urls import path

from dashboard.failures import views

urlpatterns = [
    path("failures/", views.list_failures, name="failure-list"),
    path("failures/groups/", views.show_groups, name="failure-groups"),
    path("failures/schools/", views.list_fetches, name="failure-fetches"),
    path("failures/schools/act/", views.act_on_fetches, name="failure-act"),
    path("failures/schools/csv/", views.download_fetches, name="failure-fetches-csv"),
    path("failures/attempts/", views.list_attempts, name="failure-attempts"),
    path("failures/attempts/csv/", views.download_attempts, name="failure-attempts-csv"),
    path("failures/tasks/", views.list_tasks, name="failure-tasks"),
]
