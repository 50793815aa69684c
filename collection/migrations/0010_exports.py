"""Exports, and the periodic task that has their files thrown away."""

import uuid

import django.contrib.postgres.fields
import django.core.validators
import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models


NAME = "collection.expire_exports"


def add(apps, schema_editor):
    interval, _ = apps.get_model("django_celery_beat", "IntervalSchedule").objects.get_or_create(
        every=1, period="minutes"
    )
    apps.get_model("django_celery_beat", "PeriodicTask").objects.get_or_create(
        name=NAME,
        defaults={
            "task": NAME,
            "interval": interval,
            "queue": "control",
            "expire_seconds": 60,
            "description": "Has the files of expired and deleted exports thrown away.",
        },
    )


def remove(apps, schema_editor):
    apps.get_model("django_celery_beat", "PeriodicTask").objects.filter(name=NAME).delete()


class Migration(migrations.Migration):

    dependencies = [
        ('collection', '0009_watching'),
        ('django_celery_beat', '0019_alter_periodictasks_options'),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.AddField(
            model_name='school',
            name='is_corrected',
            field=models.BooleanField(default=False, help_text='The school list then leaves the level and the services as they are.', verbose_name='corrected by hand'),
        ),
        migrations.CreateModel(
            name='ExportSchedule',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('dataset', models.CharField(choices=[('timetable', 'Timetables'), ('school_list', 'School list')], default='timetable', max_length=20, verbose_name='dataset')),
                ('weeks', models.PositiveSmallIntegerField(default=1, validators=[django.core.validators.MinValueValidator(1), django.core.validators.MaxValueValidator(53)], verbose_name='number of weeks')),
                ('levels', django.contrib.postgres.fields.ArrayField(base_field=models.CharField(choices=[('elementary', 'Elementary school'), ('middle', 'Middle school'), ('high', 'High school'), ('special', 'Special school')], max_length=10), blank=True, default=list, help_text='None: all levels.', size=None, verbose_name='school levels')),
                ('offices', django.contrib.postgres.fields.ArrayField(base_field=models.CharField(max_length=10), blank=True, default=list, help_text='None: all offices.', size=None, verbose_name='education offices')),
                ('schools', django.contrib.postgres.fields.ArrayField(base_field=models.CharField(max_length=10), blank=True, default=list, help_text='None: all schools.', size=None, verbose_name='schools')),
                ('file_format', models.CharField(choices=[('csv', 'CSV (.csv)'), ('csv.gz', 'Compressed CSV (.csv.gz)'), ('zip', 'ZIP with one CSV an office (.zip)')], default='csv', max_length=6, verbose_name='file format')),
                ('audience', models.CharField(choices=[('people', 'For people: a spreadsheet runs no cell as a formula'), ('machines', 'For machines: every cell as it is stored')], default='people', max_length=8, verbose_name='made for')),
                ('encoding', models.CharField(choices=[('utf-8-sig', 'UTF-8 with a byte order mark (Excel)'), ('utf-8', 'UTF-8'), ('cp949', 'CP949 (old Korean programs)')], default='utf-8-sig', max_length=9, verbose_name='encoding')),
                ('header', models.CharField(choices=[('korean', 'Korean'), ('english', 'English'), ('machine', 'Names for programs')], default='korean', max_length=7, verbose_name='header')),
                ('name', models.CharField(max_length=100, unique=True, verbose_name='name')),
                ('window_offset', models.SmallIntegerField(default=-1, help_text='In weeks from the week of the export: -1 is the week before it.', validators=[django.core.validators.MinValueValidator(-52), django.core.validators.MaxValueValidator(52)], verbose_name='first week')),
                ('settled_until', models.DateTimeField(blank=True, editable=False, null=True)),
                ('settled_schedule', models.CharField(blank=True, editable=False, max_length=300)),
                ('periodic_task', models.OneToOneField(blank=True, editable=False, null=True, on_delete=django.db.models.deletion.SET_NULL, related_name='export_schedule', to='django_celery_beat.periodictask', verbose_name='periodic task')),
            ],
            options={
                'verbose_name': 'scheduled export',
                'verbose_name_plural': 'scheduled exports',
                'ordering': ['name'],
            },
        ),
        migrations.CreateModel(
            name='Export',
            fields=[
                ('dataset', models.CharField(choices=[('timetable', 'Timetables'), ('school_list', 'School list')], default='timetable', max_length=20, verbose_name='dataset')),
                ('weeks', models.PositiveSmallIntegerField(default=1, validators=[django.core.validators.MinValueValidator(1), django.core.validators.MaxValueValidator(53)], verbose_name='number of weeks')),
                ('levels', django.contrib.postgres.fields.ArrayField(base_field=models.CharField(choices=[('elementary', 'Elementary school'), ('middle', 'Middle school'), ('high', 'High school'), ('special', 'Special school')], max_length=10), blank=True, default=list, help_text='None: all levels.', size=None, verbose_name='school levels')),
                ('offices', django.contrib.postgres.fields.ArrayField(base_field=models.CharField(max_length=10), blank=True, default=list, help_text='None: all offices.', size=None, verbose_name='education offices')),
                ('schools', django.contrib.postgres.fields.ArrayField(base_field=models.CharField(max_length=10), blank=True, default=list, help_text='None: all schools.', size=None, verbose_name='schools')),
                ('file_format', models.CharField(choices=[('csv', 'CSV (.csv)'), ('csv.gz', 'Compressed CSV (.csv.gz)'), ('zip', 'ZIP with one CSV an office (.zip)')], default='csv', max_length=6, verbose_name='file format')),
                ('audience', models.CharField(choices=[('people', 'For people: a spreadsheet runs no cell as a formula'), ('machines', 'For machines: every cell as it is stored')], default='people', max_length=8, verbose_name='made for')),
                ('encoding', models.CharField(choices=[('utf-8-sig', 'UTF-8 with a byte order mark (Excel)'), ('utf-8', 'UTF-8'), ('cp949', 'CP949 (old Korean programs)')], default='utf-8-sig', max_length=9, verbose_name='encoding')),
                ('header', models.CharField(choices=[('korean', 'Korean'), ('english', 'English'), ('machine', 'Names for programs')], default='korean', max_length=7, verbose_name='header')),
                ('id', models.UUIDField(default=uuid.uuid4, editable=False, primary_key=True, serialize=False)),
                ('first_monday', models.DateField(blank=True, null=True, verbose_name='first week')),
                ('due_at', models.DateTimeField(blank=True, editable=False, null=True, verbose_name='due')),
                ('asked_at', models.DateTimeField(verbose_name='asked for')),
                ('state', models.CharField(choices=[('waiting', 'Waiting'), ('running', 'Being made'), ('ready', 'Ready'), ('failed', 'Failed'), ('cancelled', 'Cancelled'), ('expired', 'Expired'), ('deleted', 'Deleted')], default='waiting', max_length=10, verbose_name='state')),
                ('planned_rows', models.PositiveBigIntegerField(default=0, verbose_name='rows planned')),
                ('planned_bytes', models.PositiveBigIntegerField(default=0, verbose_name='size planned')),
                ('attempt', models.PositiveSmallIntegerField(default=0, verbose_name='attempts')),
                ('published_at', models.DateTimeField(blank=True, null=True, verbose_name='published')),
                ('claimed_at', models.DateTimeField(blank=True, null=True, verbose_name='claimed')),
                ('lease_until', models.DateTimeField(blank=True, null=True, verbose_name='lease until')),
                ('worker', models.CharField(blank=True, max_length=100, verbose_name='worker')),
                ('task_id', models.UUIDField(blank=True, null=True, verbose_name='task')),
                ('rows', models.PositiveBigIntegerField(default=0, verbose_name='rows')),
                ('size', models.PositiveBigIntegerField(default=0, verbose_name='size')),
                ('sha256', models.CharField(blank=True, max_length=64, verbose_name='SHA-256')),
                ('manifest', models.JSONField(blank=True, null=True, verbose_name='manifest')),
                ('file_name', models.CharField(blank=True, editable=False, max_length=100)),
                ('finished_at', models.DateTimeField(blank=True, null=True, verbose_name='finished')),
                ('expires_at', models.DateTimeField(blank=True, null=True, verbose_name='kept until')),
                ('failure', models.CharField(blank=True, choices=[('file', 'The file could not be written'), ('database', 'The database was away'), ('lost', 'The worker was lost'), ('bug', 'Fault in the program')], max_length=10, verbose_name='reason of the failure')),
                ('error', models.TextField(blank=True, verbose_name='error')),
                ('asked_by', models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.SET_NULL, related_name='+', to=settings.AUTH_USER_MODEL, verbose_name='asked for by')),
                ('schedule', models.ForeignKey(blank=True, editable=False, null=True, on_delete=django.db.models.deletion.SET_NULL, related_name='exports', to='collection.exportschedule', verbose_name='scheduled export')),
            ],
            options={
                'verbose_name': 'export',
                'verbose_name_plural': 'exports',
                'ordering': ['-asked_at', '-id'],
                'permissions': [('export_data', 'Can export data')],
                'indexes': [models.Index(condition=models.Q(('state__in', ['waiting', 'running'])), fields=['asked_at'], name='export_open'), models.Index(fields=['-asked_at', '-id'], name='export_asked_at'), models.Index(condition=models.Q(('state', 'ready')), fields=['expires_at'], name='export_ready')],
                'constraints': [models.UniqueConstraint(fields=('schedule', 'due_at'), name='export_once_for_each_due_time')],
            },
        ),
        migrations.RunPython(add, remove),
    ]
