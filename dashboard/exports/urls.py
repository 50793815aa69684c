from django.urls import path

from dashboard.exports import files, views

urlpatterns = [
    path("exports/", views.list_exports, name="export-list"),
    path("exports/rows/", views.list_rows, name="export-rows"),
    path("exports/new/", views.ask_for_export, name="export-new"),
    path("exports/plan/", views.show_plan, name="export-plan"),
    path("exports/<uuid:export_id>/cancel/", views.cancel_export, name="export-cancel"),
    path("exports/<uuid:export_id>/again/", views.export_again, name="export-again"),
    path("exports/<uuid:export_id>/delete/", views.delete_export, name="export-delete"),
    path("exports/<uuid:export_id>/file/", files.send_file, name="export-file"),
    path("exports/<uuid:export_id>/manifest/", files.send_manifest, name="export-manifest"),
]
