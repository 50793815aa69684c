"""Pages of a run's fetches by key: without it PostgreSQL walks back through all runs since."""

import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("collection", "0007_guards")]

    operations = [
        migrations.AddIndex(
            model_name="schoolfetch",
            index=models.Index(fields=["run", "id"], name="fetch_run"),
        ),
        migrations.AlterField(
            model_name="schoolfetch",
            name="run",
            field=models.ForeignKey(
                db_index=False,
                on_delete=django.db.models.deletion.CASCADE,
                related_name="fetches",
                to="collection.run",
            ),
        ),
    ]
