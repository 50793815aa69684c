"""What the pages Failures and Coverage read: cells, freshness, indexes, and who keeps them up."""

import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models


TASK = "collection.refresh_coverage"

# The table is django-celery-results's own; without this a list of failed tasks reads all of it.
_ADD_INDEX = """
CREATE INDEX IF NOT EXISTS collection_task_failed_at
    ON django_celery_results_taskresult (date_done, id) WHERE status = 'FAILURE'
"""
_DROP_INDEX = "DROP INDEX IF EXISTS collection_task_failed_at"


def add_task(apps, schema_editor):
    interval, _ = apps.get_model("django_celery_beat", "IntervalSchedule").objects.get_or_create(
        every=30, period="seconds"
    )
    apps.get_model("django_celery_beat", "PeriodicTask").objects.get_or_create(
        name=TASK,
        defaults={
            "task": TASK,
            "interval": interval,
            "queue": "control",
            "expire_seconds": 30,
            "description": "Counts the weeks anew that runs and decisions have changed.",
        },
    )


def remove_task(apps, schema_editor):
    apps.get_model("django_celery_beat", "PeriodicTask").objects.filter(name=TASK).delete()


class Migration(migrations.Migration):
    dependencies = [
        ("django_celery_beat", "0019_alter_periodictasks_options"),
        ("django_celery_results", "0014_alter_taskresult_status"),
        ("collection", "0008_fetch_run_index"),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.CreateModel(
            name="CoverageCell",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                (
                    "level",
                    models.CharField(
                        choices=[
                            ("elementary", "Elementary school"),
                            ("middle", "Middle school"),
                            ("high", "High school"),
                            ("special", "Special school"),
                        ],
                        max_length=10,
                        verbose_name="school level",
                    ),
                ),
                ("monday", models.DateField(verbose_name="week")),
                ("collected", models.PositiveIntegerField(verbose_name="collected")),
                ("empty", models.PositiveIntegerField(verbose_name="no data in NEIS")),
                ("failed", models.PositiveIntegerField(verbose_name="failed")),
                ("held", models.PositiveIntegerField(verbose_name="held")),
                ("untried", models.PositiveIntegerField(verbose_name="never tried")),
            ],
            options={
                "verbose_name": "coverage of a week",
                "verbose_name_plural": "coverage of weeks",
            },
        ),
        migrations.CreateModel(
            name="SchoolFreshness",
            fields=[
                (
                    "school",
                    models.OneToOneField(
                        on_delete=django.db.models.deletion.CASCADE,
                        primary_key=True,
                        related_name="freshness",
                        serialize=False,
                        to="collection.school",
                    ),
                ),
                ("checked_at", models.DateTimeField(verbose_name="last checked")),
                ("changed_at", models.DateTimeField(verbose_name="last changed")),
            ],
            options={
                "verbose_name": "freshness of a school",
                "verbose_name_plural": "freshness of schools",
            },
        ),
        migrations.AddIndex(
            model_name="attempt",
            index=models.Index(
                condition=models.Q(("outcome__in", ["failed", "postponed", "lost"])),
                fields=["error_class", "error_code", "finished_at", "id"],
                name="attempt_failed_class",
            ),
        ),
        migrations.AddIndex(
            model_name="heldweek",
            index=models.Index(
                condition=models.Q(("decided_at__isnull", False)),
                fields=["decided_at"],
                name="held_decided_at",
            ),
        ),
        migrations.AddIndex(
            model_name="schoolfetch",
            index=models.Index(
                condition=models.Q(("state", "failed")),
                fields=["error_class", "error_code", "finished_at", "id"],
                include=("retried_by",),
                name="fetch_failed_class",
            ),
        ),
        migrations.AddIndex(
            model_name="schoolfetch",
            index=models.Index(
                condition=models.Q(("attempt__gt", 1)),
                fields=["finished_at"],
                include=("attempt", "school"),
                name="fetch_retried_at",
            ),
        ),
        migrations.AddField(
            model_name="coveragecell",
            name="office",
            field=models.ForeignKey(
                on_delete=django.db.models.deletion.CASCADE,
                related_name="+",
                to="collection.office",
            ),
        ),
        migrations.AddConstraint(
            model_name="coveragecell",
            constraint=models.UniqueConstraint(
                fields=("monday", "office", "level"), name="coverage_cell_of_week"
            ),
        ),
        migrations.RunSQL(_ADD_INDEX, _DROP_INDEX),
        migrations.RunPython(add_task, remove_task),
    ]
