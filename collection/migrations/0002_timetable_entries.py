"""The entries' table, partitioned by week: Django's state, PostgreSQL's own statement."""

import django.db.models.deletion
from django.db import migrations, models

_CREATE = """
CREATE TABLE collection_timetableentry (
    school_id bigint NOT NULL,
    date date NOT NULL,
    position integer NOT NULL,
    academic_year smallint NOT NULL,
    semester smallint NOT NULL,
    grade smallint NOT NULL,
    period smallint NOT NULL,
    class_name text,
    course text,
    day_night text,
    track text,
    department text,
    classroom text,
    subject text,
    loaded_on date,
    PRIMARY KEY (school_id, date, position)
) PARTITION BY RANGE (date)
"""


class Migration(migrations.Migration):
    dependencies = [("collection", "0001_initial")]

    operations = [
        migrations.SeparateDatabaseAndState(
            database_operations=[
                migrations.RunSQL(_CREATE, "DROP TABLE collection_timetableentry")
            ],
            state_operations=[
                migrations.CreateModel(
                    name="TimetableEntry",
                    fields=[
                        (
                            "pk",
                            models.CompositePrimaryKey(
                                "school_id",
                                "date",
                                "position",
                                blank=True,
                                editable=False,
                                primary_key=True,
                                serialize=False,
                            ),
                        ),
                        ("date", models.DateField(verbose_name="date")),
                        ("position", models.IntegerField(verbose_name="position in the week")),
                        ("academic_year", models.SmallIntegerField(verbose_name="school year")),
                        ("semester", models.SmallIntegerField(verbose_name="semester")),
                        ("grade", models.SmallIntegerField(verbose_name="grade")),
                        ("period", models.SmallIntegerField(verbose_name="period")),
                        ("class_name", models.TextField(null=True, verbose_name="class")),
                        ("course", models.TextField(null=True, verbose_name="course")),
                        (
                            "day_night",
                            models.TextField(null=True, verbose_name="day or night course"),
                        ),
                        ("track", models.TextField(null=True, verbose_name="track")),
                        ("department", models.TextField(null=True, verbose_name="department")),
                        ("classroom", models.TextField(null=True, verbose_name="classroom")),
                        ("subject", models.TextField(null=True, verbose_name="subject")),
                        (
                            "loaded_on",
                            models.DateField(null=True, verbose_name="loaded by NEIS on"),
                        ),
                        (
                            "school",
                            models.ForeignKey(
                                db_constraint=False,
                                db_index=False,
                                on_delete=django.db.models.deletion.DO_NOTHING,
                                related_name="+",
                                to="collection.school",
                            ),
                        ),
                    ],
                    options={
                        "verbose_name": "timetable entry",
                        "verbose_name_plural": "timetable entries",
                    },
                ),
            ],
        ),
    ]
