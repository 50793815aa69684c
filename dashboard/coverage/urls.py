from django.urls import path, register_converter

from dashboard.coverage import views
from dashboard.coverage.weeks import MondayConverter

register_converter(MondayConverter, "monday")

urlpatterns = [
    path("coverage/", views.show_coverage, name="coverage"),
    path("coverage/<monday:monday>/", views.show_week, name="coverage-week"),
    path("coverage/<monday:monday>/collect/", views.collect, name="coverage-collect"),
]
