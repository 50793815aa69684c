from django.urls import path

from dashboard.timetables import views

urlpatterns = [
    path("timetables/", views.search_timetables, name="timetable-search"),
    path("timetables/found/", views.show_found, name="timetable-found"),
    path("timetables/<slug:office>/<slug:code>/", views.show_timetable, name="timetable"),
    path("timetables/<slug:office>/<slug:code>/csv/", views.download_csv, name="timetable-csv"),
]
