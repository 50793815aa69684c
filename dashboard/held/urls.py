from django.urls import path

from dashboard.held import views

urlpatterns = [
    path("held/", views.list_held, name="held-list"),
    path("held/act/", views.act, name="held-act"),
    path("held/<int:week_id>/difference/", views.show_difference, name="held-difference"),
]
