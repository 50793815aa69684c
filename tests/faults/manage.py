"""python -m tests.faults.manage: the product's commands with faults inside."""

import os
import sys

import django
from django.core.management import execute_from_command_line

from tests.faults import injection

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
django.setup()
injection.install()
execute_from_command_line(["manage.py", *sys.argv[1:]])
