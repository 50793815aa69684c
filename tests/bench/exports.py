"""python -m tests.bench.exports: how much of the bare speed of psql's \\copy an export keeps.

Both write the rows of the same query from the same PostgreSQL, in turns, so that their ratio
holds on machines of any speed. Each export is a process of its own, whose peak memory is told.
"""

import argparse
import json
import os
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from datetime import date
from pathlib import Path
from typing import Any

import django

MONDAY = date(2026, 6, 8)
ENTRIES_OF_SCHOOL = 1600

_OFFICES = """
INSERT INTO collection_office (code, name)
VALUES ('B10', '서울특별시교육청'), ('C10', '부산광역시교육청'), ('J10', '경기도교육청')
"""
_SCHOOLS = """
INSERT INTO collection_school (office_id, code, name, english_name, kind, level, services, location,
       address, founding, high_school_kind, telephone, homepage, listed_at, missed_lists,
       is_corrected)
SELECT (ARRAY['B10', 'C10', 'J10'])[1 + number %% 3], (7000000 + number)::text,
       '한국제' || number || '고등학교', '', '고등학교', 'high', '{hisTimetable}', '', '', '', '', '',
       '', now(), 0, false
  FROM generate_series(1, %s) AS number
"""
_ENTRIES = """
INSERT INTO collection_timetableentry (school_id, date, position, academic_year, semester, grade,
       period, class_name, day_night, track, department, classroom, subject, loaded_on)
SELECT school.id, %s::date + number / (%s / 5), number, 2026, 1, 1 + number %% 3, 1 + number %% 7,
       (1 + number %% 12)::text, '주간', '일반계', '일반학과', (101 + number %% 40)::text,
       (ARRAY['국어', '수학Ⅰ', '영어', '* 체육', '- 자율활동', '[보강]과학', '통합사회1', '기술·가정',
              '음악, 미술', '진로와 "직업"'])[1 + number %% 10], '2026-06-11'
  FROM collection_school AS school, generate_series(0, %s - 1) AS number
 ORDER BY school.id, number
"""
_WEEKS = """
INSERT INTO collection_schoolweek (school_id, monday, digest, entries, changed_at, checked_at)
SELECT id, %s, 'digest', %s, now(), now() FROM collection_school
"""
_FORMS = {"machines": "csv", "people": "csv", "cp949": "csv", "gzip": "csv.gz", "zip": "zip"}


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.bench.exports", description=__doc__)
    parser.add_argument("--entries", type=int, default=5_000_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--forms", nargs="+", choices=_FORMS, default=["machines", "people"])
    parser.add_argument("--folder", type=Path)
    parser.add_argument("--export", choices=_FORMS, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
    django.setup()
    if arguments.export:
        print(json.dumps(_export(arguments.export, arguments.folder)))
        return
    with tempfile.TemporaryDirectory(dir=arguments.folder) as folder:
        for name, value in _measure(arguments, Path(folder)).items():
            print(f"{name:40} {value:,}", flush=True)


def _measure(arguments: argparse.Namespace, folder: Path) -> dict[str, Any]:
    from django.conf import settings
    from django.db import connection
    from django.test.utils import setup_databases, teardown_databases

    from config import embedded

    embedded.start(settings.BASE_DIR, names=settings.EMBEDDED_SERVICES)
    # A name of its own: the tests drop theirs.
    connection.settings_dict["TEST"]["NAME"] = "bench_exports"
    databases = setup_databases(verbosity=0, interactive=False)
    try:
        _generate(arguments.entries // ENTRIES_OF_SCHOOL)
        figures: dict[str, Any] = {
            "entries": arguments.entries // ENTRIES_OF_SCHOOL * ENTRIES_OF_SCHOOL
        }
        for form in arguments.forms:
            figures |= _compare(form, folder, arguments.rounds)
        return figures
    finally:
        connection.close()
        teardown_databases(databases, verbosity=0)


def _generate(schools: int) -> None:
    from django.db import connection

    from collection import partitions

    partitions.ensure([MONDAY])
    with connection.cursor() as cursor:
        cursor.execute("SET statement_timeout = 0")
        cursor.execute(_OFFICES)
        cursor.execute(_SCHOOLS, [schools])
        cursor.execute(_ENTRIES, [MONDAY, ENTRIES_OF_SCHOOL, ENTRIES_OF_SCHOOL])
        cursor.execute(_WEEKS, [MONDAY, ENTRIES_OF_SCHOOL])
        cursor.execute("VACUUM ANALYZE collection_timetableentry, collection_school")


def _compare(form: str, folder: Path, rounds: int) -> dict[str, Any]:
    """In turns, so that neither has the quieter half of the machine."""
    bare, ours = [], []
    for _ in range(rounds):
        bare.append(_psql(form, folder))
        ours.append(_child(form, folder))
    ratios = [psql / told["seconds"] for psql, told in zip(bare, ours, strict=True)]
    return {
        f"{form}_psql_seconds": round(statistics.median(bare), 1),
        f"{form}_seconds": round(statistics.median(told["seconds"] for told in ours), 1),
        f"{form}_share_of_psql_speed": round(statistics.median(ratios), 3),
        f"{form}_peak_megabytes": max(told["megabytes"] for told in ours),
        f"{form}_file_megabytes": round(ours[-1]["size"] / 1e6, 1),
    }


def _form(name: str) -> Any:
    from collection.exporting import Form
    from collection.models import Audience, Encoding, FileFormat, HeaderStyle

    return {
        "machines": Form.for_machines(),
        "people": Form.for_people(),
        "cp949": Form(Audience.PEOPLE, Encoding.CP949, HeaderStyle.KOREAN),
        "gzip": Form.for_machines(FileFormat.GZIP),
        "zip": Form.for_people(FileFormat.ZIP),
    }[name]


def _psql(form: str, folder: Path) -> float:
    from django.db import connection

    from collection.exporting import Selection
    from collection.exporting.queries import copy_statement
    from config.embedded.postgres import binary

    connection.ensure_connection()
    query = copy_statement(Selection([MONDAY]), _form(form), monday=MONDAY, office=None)
    text = " ".join(query.as_string(connection.connection).split())
    target = folder / "psql.csv"
    script = f"SET enable_sort = off;\n\\{text[0].lower()}{text[1:]}\n".replace(
        "\\cOPY", "\\copy"
    ).replace("TO STDOUT", f"TO '{target}'")
    database = connection.settings_dict
    program = shutil.which("psql") or binary("psql")
    started = time.monotonic()
    subprocess.run(
        [program, "-qX", "-v", "ON_ERROR_STOP=1", "-h", database["HOST"], "-p",
         str(database["PORT"]), "-U", database["USER"], database["NAME"]],
        input=script, text=True, check=True, stdout=subprocess.DEVNULL,
    )  # fmt: skip
    seconds = time.monotonic() - started
    target.unlink()
    return seconds


def _child(form: str, folder: Path) -> dict[str, Any]:
    told = subprocess.run(
        [sys.executable, "-m", "tests.bench.exports", "--export", form, "--folder", folder],
        check=True, stdout=subprocess.PIPE,
    )  # fmt: skip
    figures: dict[str, Any] = json.loads(told.stdout)
    return figures


def _export(form: str, folder: Path) -> dict[str, Any]:
    from django.db import connection

    from collection.exporting import Selection, write_file

    connection.settings_dict["NAME"] = "bench_exports"
    path = folder / f"export.{_FORMS[form]}"
    started = time.monotonic()
    manifest = write_file(Selection([MONDAY]), _form(form), path)
    seconds = time.monotonic() - started
    path.unlink()
    return {
        "seconds": seconds,
        "size": manifest.file.size,
        "megabytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,
    }


if __name__ == "__main__":
    main()
