"""The pump, every two seconds: the one periodic task that nobody has to set up."""

from django.db import migrations

NAME = "collection.pump"


def add(apps, schema_editor):
    interval, _ = apps.get_model("django_celery_beat", "IntervalSchedule").objects.get_or_create(
        every=2, period="seconds"
    )
    apps.get_model("django_celery_beat", "PeriodicTask").objects.get_or_create(
        name=NAME,
        defaults={
            "task": "collection.pump",
            "interval": interval,
            "queue": "control",
            # What no worker took in time is worth nothing: the next stroke is on its way.
            "expire_seconds": 10,
            "description": "Publishes due fetches, takes back lost ones, ends runs.",
        },
    )


def remove(apps, schema_editor):
    apps.get_model("django_celery_beat", "PeriodicTask").objects.filter(name=NAME).delete()


class Migration(migrations.Migration):
    dependencies = [
        ("collection", "0002_timetable_entries"),
        ("django_celery_beat", "0019_alter_periodictasks_options"),
    ]

    operations = [migrations.RunPython(add, remove)]
