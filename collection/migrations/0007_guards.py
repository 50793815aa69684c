"""The guards: what is known of NEIS, of its keys and of the pump; what the guard of a run noted."""

import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models

RETENTION = "collection.retention"


def add_retention(apps, schema_editor):
    crontab, _ = apps.get_model("django_celery_beat", "CrontabSchedule").objects.get_or_create(
        minute="30",
        hour="4",
        day_of_week="*",
        day_of_month="*",
        month_of_year="*",
        timezone="Asia/Seoul",
    )
    apps.get_model("django_celery_beat", "PeriodicTask").objects.get_or_create(
        name=RETENTION,
        defaults={
            "task": RETENTION,
            "crontab": crontab,
            "queue": "control",
            "description": "Makes the weeks to come, and deletes what is old by the settings.",
        },
    )


def remove_retention(apps, schema_editor):
    apps.get_model("django_celery_beat", "PeriodicTask").objects.filter(name=RETENTION).delete()


class Migration(migrations.Migration):
    dependencies = [
        ("collection", "0006_alerts"),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.CreateModel(
            name="KeyUsage",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("fingerprint", models.CharField(max_length=32, verbose_name="fingerprint")),
                ("day", models.DateField(verbose_name="day")),
                ("calls", models.PositiveIntegerField(default=0, verbose_name="calls")),
            ],
            options={
                "verbose_name": "use of an API key",
                "verbose_name_plural": "use of API keys",
            },
        ),
        migrations.CreateModel(
            name="PumpState",
            fields=[
                (
                    "id",
                    models.SmallIntegerField(
                        default=1, editable=False, primary_key=True, serialize=False
                    ),
                ),
                (
                    "pumped_at",
                    models.DateTimeField(blank=True, null=True, verbose_name="last stroke"),
                ),
                ("idle_at", models.DateTimeField(blank=True, null=True, verbose_name="last idle")),
                (
                    "queued",
                    models.PositiveIntegerField(
                        blank=True, null=True, verbose_name="messages in the queues"
                    ),
                ),
                (
                    "trouble",
                    models.CharField(
                        blank=True, max_length=100, verbose_name="trouble with the broker"
                    ),
                ),
                (
                    "trouble_since",
                    models.DateTimeField(blank=True, null=True, verbose_name="trouble since"),
                ),
            ],
            options={
                "verbose_name": "state of the pump",
                "verbose_name_plural": "state of the pump",
            },
        ),
        migrations.CreateModel(
            name="UpstreamState",
            fields=[
                (
                    "id",
                    models.SmallIntegerField(
                        default=1, editable=False, primary_key=True, serialize=False
                    ),
                ),
                (
                    "state",
                    models.CharField(
                        choices=[
                            ("closed", "NEIS answers"),
                            ("half_open", "One request finds out whether NEIS answers"),
                            ("open", "NEIS is down"),
                        ],
                        default="closed",
                        max_length=10,
                        verbose_name="state",
                    ),
                ),
                ("since", models.DateTimeField(blank=True, null=True, verbose_name="since")),
                (
                    "down_since",
                    models.DateTimeField(blank=True, null=True, verbose_name="down since"),
                ),
                (
                    "cool_down_seconds",
                    models.FloatField(default=0, verbose_name="cool-down in seconds"),
                ),
                (
                    "probe_at",
                    models.DateTimeField(blank=True, null=True, verbose_name="next probe"),
                ),
                ("probes", models.PositiveIntegerField(default=0, verbose_name="probes")),
                (
                    "reason",
                    models.CharField(
                        blank=True,
                        choices=[
                            ("timed_out", "No answer in time"),
                            ("connection_failed", "Connection failed"),
                            ("server_fault", "NEIS reports a fault of its own"),
                            ("throttled", "NEIS asks to slow down"),
                            ("malformed", "The answer is not what NEIS sends"),
                            ("incomplete", "The answer has gaps"),
                            ("transient", "Unknown answer of NEIS"),
                            ("deadline", "The time for the school was over"),
                            ("bad_request", "NEIS refuses the request"),
                            ("key_missing", "There is no API key"),
                            ("key_spent", "The daily limit is spent"),
                            ("key_refused", "NEIS refuses the API key"),
                            ("list_refused", "The school list lost too many schools"),
                            ("database", "The database was away"),
                            ("lost", "The worker was lost"),
                            ("crashed", "Every worker that tried was lost"),
                            ("bug", "Fault in the program"),
                        ],
                        max_length=20,
                        verbose_name="reason",
                    ),
                ),
                (
                    "not_before",
                    models.DateTimeField(blank=True, null=True, verbose_name="no request before"),
                ),
            ],
            options={
                "verbose_name": "state of NEIS",
                "verbose_name_plural": "state of NEIS",
            },
        ),
        migrations.AddField(
            model_name="run",
            name="guard_seen_at",
            field=models.DateTimeField(blank=True, null=True, verbose_name="seen by an operator"),
        ),
        migrations.AddField(
            model_name="run",
            name="guarded_at",
            field=models.DateTimeField(blank=True, null=True, verbose_name="paused by the guard"),
        ),
        migrations.AddField(
            model_name="stopswitch",
            name="resumed_at",
            field=models.DateTimeField(blank=True, null=True, verbose_name="going on since"),
        ),
        migrations.AddField(
            model_name="stopswitch",
            name="resumed_by",
            field=models.ForeignKey(
                blank=True,
                null=True,
                on_delete=django.db.models.deletion.SET_NULL,
                related_name="+",
                to=settings.AUTH_USER_MODEL,
                verbose_name="let go on by",
            ),
        ),
        migrations.AlterField(
            model_name="alert",
            name="error_class",
            field=models.CharField(
                blank=True,
                choices=[
                    ("timed_out", "No answer in time"),
                    ("connection_failed", "Connection failed"),
                    ("server_fault", "NEIS reports a fault of its own"),
                    ("throttled", "NEIS asks to slow down"),
                    ("malformed", "The answer is not what NEIS sends"),
                    ("incomplete", "The answer has gaps"),
                    ("transient", "Unknown answer of NEIS"),
                    ("deadline", "The time for the school was over"),
                    ("bad_request", "NEIS refuses the request"),
                    ("key_missing", "There is no API key"),
                    ("key_spent", "The daily limit is spent"),
                    ("key_refused", "NEIS refuses the API key"),
                    ("list_refused", "The school list lost too many schools"),
                    ("database", "The database was away"),
                    ("lost", "The worker was lost"),
                    ("crashed", "Every worker that tried was lost"),
                    ("bug", "Fault in the program"),
                ],
                max_length=20,
                verbose_name="class of error",
            ),
        ),
        migrations.AlterField(
            model_name="attempt",
            name="error_class",
            field=models.CharField(
                blank=True,
                choices=[
                    ("timed_out", "No answer in time"),
                    ("connection_failed", "Connection failed"),
                    ("server_fault", "NEIS reports a fault of its own"),
                    ("throttled", "NEIS asks to slow down"),
                    ("malformed", "The answer is not what NEIS sends"),
                    ("incomplete", "The answer has gaps"),
                    ("transient", "Unknown answer of NEIS"),
                    ("deadline", "The time for the school was over"),
                    ("bad_request", "NEIS refuses the request"),
                    ("key_missing", "There is no API key"),
                    ("key_spent", "The daily limit is spent"),
                    ("key_refused", "NEIS refuses the API key"),
                    ("list_refused", "The school list lost too many schools"),
                    ("database", "The database was away"),
                    ("lost", "The worker was lost"),
                    ("crashed", "Every worker that tried was lost"),
                    ("bug", "Fault in the program"),
                ],
                max_length=20,
                verbose_name="class of error",
            ),
        ),
        migrations.AlterField(
            model_name="schoolfetch",
            name="error_class",
            field=models.CharField(
                blank=True,
                choices=[
                    ("timed_out", "No answer in time"),
                    ("connection_failed", "Connection failed"),
                    ("server_fault", "NEIS reports a fault of its own"),
                    ("throttled", "NEIS asks to slow down"),
                    ("malformed", "The answer is not what NEIS sends"),
                    ("incomplete", "The answer has gaps"),
                    ("transient", "Unknown answer of NEIS"),
                    ("deadline", "The time for the school was over"),
                    ("bad_request", "NEIS refuses the request"),
                    ("key_missing", "There is no API key"),
                    ("key_spent", "The daily limit is spent"),
                    ("key_refused", "NEIS refuses the API key"),
                    ("list_refused", "The school list lost too many schools"),
                    ("database", "The database was away"),
                    ("lost", "The worker was lost"),
                    ("crashed", "Every worker that tried was lost"),
                    ("bug", "Fault in the program"),
                ],
                max_length=20,
                verbose_name="class of error",
            ),
        ),
        migrations.AddIndex(
            model_name="heldweek",
            index=models.Index(fields=["monday", "school"], name="held_monday_school"),
        ),
        migrations.AddConstraint(
            model_name="keyusage",
            constraint=models.UniqueConstraint(
                fields=("fingerprint", "day"), name="usage_once_for_each_day"
            ),
        ),
        migrations.AddConstraint(
            model_name="pumpstate",
            constraint=models.CheckConstraint(condition=models.Q(("id", 1)), name="one_pump_state"),
        ),
        migrations.AddField(
            model_name="upstreamstate",
            name="probe",
            field=models.ForeignKey(
                blank=True,
                null=True,
                on_delete=django.db.models.deletion.SET_NULL,
                related_name="+",
                to="collection.schoolfetch",
                verbose_name="probe",
            ),
        ),
        migrations.AddConstraint(
            model_name="upstreamstate",
            constraint=models.CheckConstraint(
                condition=models.Q(("id", 1)), name="one_upstream_state"
            ),
        ),
        migrations.RunPython(add_retention, remove_retention),
    ]
