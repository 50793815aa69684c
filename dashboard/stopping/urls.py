from django.urls import path

from dashboard.stopping import views

urlpatterns = [
    path("stop/", views.stop, name="stop"),
    path("go-on/", views.go_on, name="go-on"),
]
