from django.urls import path

from dashboard.failures import views

urlpatterns = [
    path("failures/", views.list_failures, name="failure-list"),
]
