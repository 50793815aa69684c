from django.urls import path

from dashboard.health import views

urlpatterns = [
    path("healthz", views.say_alive, name="healthz"),
    path("readyz", views.say_ready, name="readyz"),
    path("metrics", views.show_metrics, name="metrics"),
]
