from django.urls import path

from dashboard.alerts import views

urlpatterns = [
    path("alerts/", views.list_alerts, name="alert-list"),
    path("alerts/rows/", views.list_rows, name="alert-rows"),
    path("alerts/test/", views.send_test, name="alert-test"),
]
