"""Real answers of NEIS, unchanged, from the wire to the CSV."""

import csv
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import orjson
import pytest
from django.conf import settings
from django.utils import timezone

from collection import claiming, exporting, starting, storage
from collection.deciding import HoldRule
from collection.models import FetchState, Office, School, Trigger
from collection.neis import Keys, NeisClient
from collection.normalising import normalise
from collection.planning import monday_of

SAMPLES = settings.BASE_DIR.parent / "shared" / "neis-samples"

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.skipif(
        not SAMPLES.is_dir(), reason="The recorded answers are not beside this clone."
    ),
]


@contextmanager
def _serving(body: bytes) -> Iterator[str]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "application/json;charset=UTF-8")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *args: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}/hub"
        finally:
            server.shutdown()
            thread.join()


def _whole(service: str, file: str) -> bytes:
    """The recorded bytes; a file that holds rows alone gets the head around them back."""
    body = (SAMPLES / file).read_bytes()
    recorded = orjson.loads(body)
    if service in recorded:
        return body
    head = [
        {"list_total_count": len(recorded["row"])},
        {"RESULT": {"CODE": "INFO-000", "MESSAGE": "정상 처리되었습니다."}},
    ]
    return orjson.dumps({service: [{"head": head}, {"row": recorded["row"]}]})


@pytest.mark.parametrize(
    ("service", "level", "file"),
    [
        pytest.param(
            "hisTimetable", "high", "hisTimetable_I10-9300180_20211224_full6.json", id="high"
        ),
        pytest.param(
            "misTimetable", "middle", "misTimetable_T10-7003714_20230306_rows.json", id="middle"
        ),
    ],
)
def test_recorded_rows_reach_the_csv_unchanged(
    service: str, level: str, file: str, tmp_path: Path
) -> None:
    body = _whole(service, file)
    recorded = orjson.loads(body)[service][1]["row"]
    first = recorded[0]
    day = date.fromisoformat(first["ALL_TI_YMD"])
    _add_school(first, level, service)
    run = starting.start(
        starting.Plan(first_monday=monday_of(day), weeks=1),
        trigger=Trigger.MANUAL,
        now=timezone.now(),
    )
    claim = claiming.claim(run.fetches.get().pk, worker="test", task_id=None, lease_seconds=60)
    assert claim is not None

    with _serving(body) as base_url:
        answer = NeisClient(base_url=base_url, keys=Keys(["key"])).of_school(
            service,
            office_code=claim.office_code,
            school_code=claim.school_code,
            first=claim.mondays[0],
            last=claim.mondays[-1] + timedelta(days=6),
        )
    normalised = normalise(
        answer.rows,
        office_code=claim.office_code,
        school_code=claim.school_code,
        mondays=claim.mondays,
    )
    state = storage.store(
        claim, normalised, service=service, requests=answer.requests, rule=HoldRule()
    )
    path = tmp_path / "out.csv"
    exporting.write_file(exporting.Selection(claim.mondays), exporting.Form.for_machines(), path)

    assert state == FetchState.SUCCEEDED
    with path.open(encoding="utf-8", newline="") as lines:
        exported = list(csv.DictReader(lines))
    assert sorted(map(_of_export, exported)) == sorted(map(_of_neis, recorded))


def _add_school(row: dict[str, str], level: str, service: str) -> None:
    office = Office.objects.create(code=row["ATPT_OFCDC_SC_CODE"], name=row["ATPT_OFCDC_SC_NM"])
    School.objects.create(
        office=office,
        code=row["SD_SCHUL_CODE"],
        name=row["SCHUL_NM"],
        level=level,
        services=[service],
        listed_at=timezone.now(),
    )


_PAIRS = {
    "office_code": "ATPT_OFCDC_SC_CODE",
    "office": "ATPT_OFCDC_SC_NM",
    "school_code": "SD_SCHUL_CODE",
    "school": "SCHUL_NM",
    "academic_year": "AY",
    "semester": "SEM",
    "grade": "GRADE",
    "class_name": "CLASS_NM",
    "day_night": "DGHT_CRSE_SC_NM",
    "track": "ORD_SC_NM",
    "department": "DDDEP_NM",
    "classroom": "CLRM_NM",
    "period": "PERIO",
    "subject": "ITRT_CNTNT",
}


def _of_export(row: dict[str, str]) -> list[str]:
    days = [row["date"].replace("-", ""), row["loaded_on"].replace("-", "")]
    return [*(row[name] for name in _PAIRS), *days]


def _of_neis(row: dict[str, str | None]) -> list[str]:
    values = [row.get(name) or "" for name in (*_PAIRS.values(), "ALL_TI_YMD")]
    return [*values, (row["LOAD_DTM"] or "")[:8]]
