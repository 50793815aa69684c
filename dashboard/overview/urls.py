from django.urls import path

from dashboard.overview import views

urlpatterns = [
    path("", views.show_overview, name="overview"),
    path("overview/", views.show_now, name="overview-now"),
]
