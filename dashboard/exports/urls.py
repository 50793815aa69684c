from django.urls import path

from dashboard.exports import files, schedules, views

urlpatterns = [
    path("exports/", views.list_exports, name="export-list"),
    path("exports/rows/", views.list_rows, name="export-rows"),
    path("exports/new/", views.ask_for_export, name="export-new"),
    path("exports/schedules/new/", schedules.add_schedule, name="export-schedule-new"),
    path("exports/schedules/<int:pk>/", schedules.edit_schedule, name="export-schedule"),
    path(
        "exports/schedules/<int:pk>/delete/",
        schedules.delete_schedule,
        name="export-schedule-delete",
    ),
    path("exports/plan/", views.show_plan, name="export-plan"),
    path("exports/<uuid:export_id>/cancel/", views.cancel_export, name="export-cancel"),
    path("exports/<uuid:export_id>/again/", views.export_again, name="export-again"),
    path("exports/<uuid:export_id>/delete/", views.delete_export, name="export-delete"),
    path("exports/<uuid:export_id>/file/", files.send_file, name="export-file"),
    path("exports/<uuid:export_id>/manifest/", files.send_manifest, name="export-manifest"),
]
