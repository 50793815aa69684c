from django.urls import path

from dashboard.held import views

urlpatterns = [
    path("held/", views.list_held, name="held-list"),
]
