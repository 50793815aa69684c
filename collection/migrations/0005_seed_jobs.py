"""The jobs of a fresh console, off until somebody switches them on, and a gentler clean-up."""

from zoneinfo import ZoneInfo

from django.db import migrations, models

KOREA = ZoneInfo("Asia/Seoul")
EVERY_DAY = "*"
MONDAY = "1"

# NEIS counts a key's calls anew at midnight and loads its tables at night. The list comes first,
# and each level has an hour and a half before the next.
JOBS = (
    ("학교 목록 (매일)", "school_list", [], EVERY_DAY, "0", "20"),
    ("초등학교 시간표 (매주)", "timetable", ["elementary"], MONDAY, "1", "0"),
    ("중학교 시간표 (매주)", "timetable", ["middle"], MONDAY, "2", "30"),
    ("고등학교 시간표 (매주)", "timetable", ["high"], MONDAY, "4", "0"),
    ("특수학교 시간표 (매주)", "timetable", ["special"], MONDAY, "5", "30"),
)
CLEAN_RESULTS = "collection.clean_results"

ERROR_CLASSES = [
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
    ("bug", "Fault in the program"),
]


def error_class():
    return models.CharField(
        blank=True, choices=ERROR_CLASSES, max_length=20, verbose_name="class of error"
    )


def add(apps, schema_editor):
    Job = apps.get_model("collection", "Job")
    PeriodicTask = apps.get_model("django_celery_beat", "PeriodicTask")
    for name, dataset, levels, weekday, hour, minute in JOBS:
        job, created = Job.objects.get_or_create(
            name=name, defaults={"dataset": dataset, "levels": levels}
        )
        if created:
            job.periodic_task = PeriodicTask.objects.create(
                name=f"collection.job.{job.pk}",
                task="collection.start_due",
                kwargs=f'{{"job": {job.pk}}}',
                crontab=_crontab(apps, weekday, hour, minute),
                queue="control",
                enabled=False,
                description=name,
            )
            job.save()
    # Beat's own clean-up deletes all that has expired in one transaction.
    PeriodicTask.objects.filter(name="celery.backend_cleanup").delete()
    PeriodicTask.objects.get_or_create(
        name=CLEAN_RESULTS,
        defaults={
            "task": CLEAN_RESULTS,
            "crontab": _crontab(apps, EVERY_DAY, "3", "10"),
            "queue": "control",
            "expire_seconds": 12 * 3600,
            "description": "Deletes outcomes of tasks that have expired.",
        },
    )


def _crontab(apps, weekday, hour, minute):
    rows = apps.get_model("django_celery_beat", "CrontabSchedule").objects
    fields = {
        "minute": minute, "hour": hour, "day_of_week": weekday,
        "day_of_month": "*", "month_of_year": "*", "timezone": KOREA,
    }  # fmt: skip
    return rows.filter(**fields).first() or rows.create(**fields)


def remove(apps, schema_editor):
    """Takes away what is still off and has never run; what an operator uses stays."""
    Job = apps.get_model("collection", "Job")
    PeriodicTask = apps.get_model("django_celery_beat", "PeriodicTask")
    unused = Job.objects.filter(
        name__in=[name for name, *_ in JOBS], periodic_task__enabled=False, runs__isnull=True
    )
    tasks = list(unused.values_list("periodic_task", flat=True))
    unused.delete()
    PeriodicTask.objects.filter(pk__in=tasks).delete()
    PeriodicTask.objects.filter(name=CLEAN_RESULTS).delete()


class Migration(migrations.Migration):
    dependencies = [("collection", "0004_console")]

    operations = [
        migrations.AlterField("attempt", "error_class", error_class()),
        migrations.AlterField("schoolfetch", "error_class", error_class()),
        migrations.RunPython(add, remove),
    ]
