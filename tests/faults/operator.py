"""python -m tests.faults.operator: an operator's commands, one after the other, in one process.

Reads a JSON list of words a line and answers each with the exit status, the number of what was
made, and what was told. Django is loaded once: most of a short command's time is that.
"""

import contextlib
import io
import json
import os
import sys
from typing import Any

import django


def main() -> None:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
    django.setup()
    from tests.faults import injection

    injection.install()
    for line in sys.stdin:
        print(json.dumps(_obey(*json.loads(line))), flush=True)


def _obey(word: str, *words: str) -> dict[str, Any]:
    from django.core.management import call_command
    from django.db import connection

    from tests.faults.orders import ORDERS

    told, status, made = io.StringIO(), 0, None
    try:
        with contextlib.redirect_stdout(told), contextlib.redirect_stderr(told):
            if word in ORDERS:
                made = ORDERS[word](*words)
            else:
                call_command(word, *words, stdout=told, stderr=told)
    except SystemExit as end:
        status = int(end.code or 0)
    finally:
        connection.close()
    return {"status": status, "made": made, "told": told.getvalue()}


main()
