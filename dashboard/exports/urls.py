from django.urls import path

from dashboard.exports import views

urlpatterns = [
    path("exports/", views.list_exports, name="export-list"),
]
