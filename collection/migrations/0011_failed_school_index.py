"""Failures of a few schools: without it the index of all failures is read once for each school."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("collection", "0010_exports")]

    operations = [
        migrations.AddIndex(
            model_name="schoolfetch",
            index=models.Index(
                condition=models.Q(("state", "failed")),
                fields=["school", "id"],
                name="fetch_failed_school",
            ),
        ),
    ]
