from django.urls import path

from dashboard.coverage import views

urlpatterns = [
    path("coverage/", views.show_coverage, name="coverage"),
]
