from django.urls import path

from dashboard.timetables import views

urlpatterns = [
    path("timetables/", views.search_timetables, name="timetable-search"),
]
