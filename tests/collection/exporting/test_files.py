"""Files of exports read back by the programs that people use, and compared with the database."""

import csv
import errno
import gzip
import hashlib
import io
import json
import os
import resource
import shutil
import subprocess
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import duckdb
import pandas as pd
import pytest
from django.db import connection

from collection import exporting
from collection.exporting import Form, Selection
from collection.models import (
    Audience,
    Dataset,
    Encoding,
    FileFormat,
    HeaderStyle,
    SchoolWeek,
)
from tests.collection.exporting.stored import (
    HARD_SUBJECTS,
    NAMES,
    as_text,
    rows_in_database,
    some_schools,
    store,
)
from tests.collection.ledger import make_school
from tests.collection.rows import MONDAY

pytestmark = pytest.mark.django_db(transaction=True)

WEEK = Selection([MONDAY])
SIGNS = "=+-@\t\r\n＝＋－＠"
SUBJECT = NAMES.index("subject")


def _written(path: Path, form: Form, selection: Selection = WEEK) -> exporting.Manifest:
    return exporting.write_file(selection, form, path)


def _read(path: Path, encoding: str) -> list[list[str]]:
    with path.open(encoding=encoding, newline="") as file:
        return list(csv.reader(file))


def test_csv_reads_back_equal_when_for_machines(tmp_path: Path) -> None:
    some_schools()
    manifest = _written(tmp_path / "a.csv", Form.for_machines())
    header, *rows = _read(tmp_path / "a.csv", "utf-8")
    assert header == NAMES
    assert rows == as_text(rows_in_database())
    assert manifest.file.rows == len(rows) == 2 * len(HARD_SUBJECTS)


@pytest.mark.parametrize("encoding", ["utf-8-sig", "cp949"])
def test_csv_reads_back_equal_but_for_apostrophes_when_for_people(
    tmp_path: Path, encoding: str
) -> None:
    some_schools()
    form = Form(Audience.PEOPLE, Encoding(encoding), HeaderStyle.KOREAN)
    _written(tmp_path / "a.csv", form)
    header, *rows = _read(tmp_path / "a.csv", encoding)
    assert header[:4] == ["교육청코드", "교육청", "학교코드", "학교명"]
    assert header[SUBJECT] == "수업내용"
    expected = [
        ["'" + cell if cell[:1] and cell[0] in SIGNS else cell for cell in row]
        for row in as_text(rows_in_database())
    ]
    # CP949 has no full-width equals sign's neighbours to lose: all of these are in it.
    assert rows == expected
    assert {row[SUBJECT] for row in rows} >= {"'=1+1", "'-", "'＝1+1", "'\n=1+1", "* 체육"}


def test_every_line_ends_as_the_form_says(tmp_path: Path) -> None:
    some_schools()
    _written(tmp_path / "people.csv", Form.for_people())
    _written(tmp_path / "machines.csv", Form.for_machines())
    people, machines = ((tmp_path / f"{n}.csv").read_bytes() for n in ("people", "machines"))
    assert people.startswith(b"\xef\xbb\xbf")
    assert not machines.startswith(b"\xef\xbb\xbf")
    # The line feeds within cells stay as they are stored.
    assert "두\n줄".encode() in people
    rows = 1 + 2 * len(HARD_SUBJECTS)
    within = 2 * sum((subject or "").count("\r\n") for subject in HARD_SUBJECTS)
    assert people.count(b"\r\n") == rows + within
    assert machines.count(b"\r\n") == within


def test_pandas_reads_equal_and_tells_null_from_empty_when_for_machines(tmp_path: Path) -> None:
    some_schools()
    _written(tmp_path / "a.csv.gz", Form.for_machines(FileFormat.GZIP))
    frame = pd.read_csv(
        tmp_path / "a.csv.gz", dtype=str, keep_default_na=False, lineterminator="\n"
    )
    assert frame.columns.tolist() == NAMES
    assert frame.to_numpy().tolist() == as_text(rows_in_database())


def test_duckdb_reads_equal_when_for_machines(tmp_path: Path) -> None:
    some_schools()
    _written(tmp_path / "a.csv", Form.for_machines())
    read = duckdb.sql(
        f"SELECT * FROM read_csv('{tmp_path}/a.csv', header=true, all_varchar=true, delim=',',"
        " quote='\"', escape='\"', new_line='\\n', parallel=false, nullstr='\x01')"
    ).fetchall()
    assert [[value or "" for value in row] for row in read] == as_text(rows_in_database())


@pytest.mark.parametrize("file_format", [FileFormat.CSV, FileFormat.GZIP])
def test_postgresql_copies_back_every_value_and_null(tmp_path: Path, file_format: str) -> None:
    some_schools()
    path = tmp_path / f"a.{file_format}"
    _written(path, Form.for_machines(FileFormat(file_format)))
    data = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
    with connection.cursor() as cursor:
        cursor.execute(
            "CREATE TEMP TABLE back (office_code text, office text, school_code text, school text,"
            " level text, academic_year int, semester int, date date, grade int, class_name text,"
            " course text, day_night text, track text, department text, classroom text,"
            " period int, subject text, loaded_on date, line serial)"
        )
        with cursor.copy(
            f"COPY back ({', '.join(NAMES)}) FROM STDIN (FORMAT csv, HEADER match)"
        ) as copy:
            copy.write(data)
        cursor.execute(f"SELECT {', '.join(NAMES)} FROM back ORDER BY line")
        assert cursor.fetchall() == rows_in_database()
        cursor.execute("DROP TABLE back")


def test_archive_holds_a_file_an_office_and_the_manifest(tmp_path: Path) -> None:
    some_schools()
    manifest = _written(tmp_path / "a.zip", Form.for_people(FileFormat.ZIP))
    with zipfile.ZipFile(tmp_path / "a.zip") as archive:
        assert archive.testzip() is None
        names = archive.namelist()
        inside = json.loads(archive.read("manifest.json"))
        files = {name: archive.read(name) for name in names}
    assert names == ["B10_교육청 B10.csv", "J10_교육청 J10.csv", "manifest.json"]
    for part in manifest.members:
        assert part.rows == len(HARD_SUBJECTS)
        assert hashlib.sha256(files[part.name]).hexdigest() == part.sha256
        rows = list(csv.reader(io.StringIO(files[part.name].decode("utf-8-sig"), newline="")))
        assert len(rows) == 1 + part.rows
        assert {row[0] for row in rows[1:]} == {part.name[:3]}
    whole = manifest.as_json()
    assert whole.pop("file")["sha256"] == _sha256(tmp_path / "a.zip")
    assert inside == json.loads(json.dumps(whole))


def test_manifest_tells_size_and_checksum_of_the_very_file(tmp_path: Path) -> None:
    some_schools()
    manifest = _written(tmp_path / "a.csv.gz", Form.for_machines(FileFormat.GZIP))
    assert manifest.file.sha256 == _sha256(tmp_path / "a.csv.gz")
    assert manifest.file.size == (tmp_path / "a.csv.gz").stat().st_size


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def test_what_cp949_lacks_is_replaced_counted_and_named(tmp_path: Path) -> None:
    store(make_school(), ("수학–기하", "𠀀–", "국어"))
    form = Form(Audience.PEOPLE, Encoding.CP949, HeaderStyle.KOREAN)
    manifest = _written(tmp_path / "a.csv", form).as_json()
    subjects = [row[SUBJECT] for row in _read(tmp_path / "a.csv", "cp949")[1:]]
    assert subjects == ["수학?기하", "??", "국어"]
    assert manifest["replaced_characters"] == {"count": 3, "which": {"–": 2, "𠀀": 1}}


def test_only_what_was_selected_is_written(tmp_path: Path) -> None:
    wanted, other = some_schools()
    selection = Selection([MONDAY], offices=[wanted.office_id], schools=[wanted.code, other.code])
    _written(tmp_path / "a.csv", Form.for_machines(), selection)
    assert {row[2] for row in _read(tmp_path / "a.csv", "utf-8")[1:]} == {wanted.code}
    assert exporting.expected_rows(selection) == len(HARD_SUBJECTS)


def test_school_list_is_written_whole(tmp_path: Path) -> None:
    make_school("7010118", telephone="-", homepage="", address='길 "1", 2층')
    make_school("7010119", closed_at="2026-06-01T20:00:00Z")
    selection = Selection(dataset=Dataset.SCHOOL_LIST)
    manifest = _written(tmp_path / "a.csv", Form.for_people(), selection)
    header, first, second = _read(tmp_path / "a.csv", "utf-8-sig")
    told = dict(zip(header, first, strict=True))
    assert (told["전화번호"], told["도로명주소"]) == ("'-", '길 "1", 2층')
    # 20:00 in London is the next day in Korea.
    assert second[-1] == "2026-06-02"
    assert manifest.file.rows == exporting.expected_rows(selection) == 2


def test_all_weeks_are_of_one_snapshot(tmp_path: Path) -> None:
    school = make_school()
    store(school, ("1교시",))
    monday = MONDAY.replace(day=15)
    seen: list[int] = []

    def store_meanwhile(rows: int, size: int) -> None:
        if not seen:
            store(school, ("늦게",), monday=monday)
        seen.append(rows)

    selection = Selection([MONDAY, monday])
    manifest = exporting.write_file(
        selection, Form.for_machines(), tmp_path / "a.csv", on_progress=store_meanwhile
    )
    assert SchoolWeek.objects.count() == 2
    assert (manifest.file.rows, manifest.coverage["collected"]) == (1, 1)


@contextmanager
def _largest_file(size: int) -> Iterator[None]:
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.mark.parametrize("file_format", list(FileFormat))
def test_nothing_is_left_when_the_file_can_not_grow(tmp_path: Path, file_format: str) -> None:
    store(make_school(), tuple(os.urandom(50).hex() for _ in range(3000)))
    path = tmp_path / f"a.{file_format}"
    path.write_text("of last week")
    with _largest_file(100_000), pytest.raises(OSError, match="large") as caught:
        _written(path, Form.for_people(FileFormat(file_format)))
    assert caught.value.errno == errno.EFBIG
    assert [p.name for p in tmp_path.iterdir()] == [path.name]
    assert path.read_text() == "of last week"


def test_nothing_is_left_when_the_disk_is_full(tmp_path: Path) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = shutil.which("mount") and os.getuid() == 0
    if (
        not mounted
        or subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "none", disk]).returncode
    ):
        pytest.skip("Only root may mount the small disk that this test fills.")
    try:
        store(make_school(), tuple(os.urandom(50).hex() for _ in range(3000)))
        with pytest.raises(OSError, match="space") as caught:
            _written(disk / "a.csv", Form.for_people())
        assert caught.value.errno == errno.ENOSPC
        assert list(disk.iterdir()) == []
    finally:
        subprocess.run(["umount", disk], check=True)


_UTF_8, _CP949 = 76, 62


def _opened_in_libreoffice(*paths: Path, code_page: int) -> list[str]:
    """What it makes of the files when every cell is looked at for numbers and formulas."""
    soffice = shutil.which("soffice")
    if not soffice:
        pytest.skip("LibreOffice is not installed: install libreoffice-calc to run this test.")
    folder = paths[0].parent
    subprocess.run(
        [soffice, "--headless", "--norestore", f"-env:UserInstallation=file://{folder}/profile",
         f"--infilter=CSV:44,34,{code_page},1,,0,false,true,false,false,true",
         "--convert-to", "fods", "--outdir", folder, *paths],
        check=True, capture_output=True, timeout=150,
    )  # fmt: skip
    return [path.with_suffix(".fods").read_text(encoding="utf-8") for path in paths]


@pytest.mark.timeout(180)
def test_libreoffice_shows_hangul_and_runs_no_formula(tmp_path: Path) -> None:
    some_schools()
    _written(tmp_path / "people.csv", Form.for_people())
    _written(tmp_path / "machines.csv", Form.for_machines())
    people, machines = _opened_in_libreoffice(
        tmp_path / "people.csv", tmp_path / "machines.csv", code_page=_UTF_8
    )
    for shown in ("수업내용", "똠방각하", "[보강]수학", "=1+1"):
        assert shown in people
    assert "table:formula" not in people
    # The control: were nothing put before such cells, they would be run.
    assert "table:formula" in machines


@pytest.mark.timeout(180)
def test_libreoffice_shows_hangul_of_cp949(tmp_path: Path) -> None:
    some_schools()
    _written(tmp_path / "a.csv", Form(Audience.PEOPLE, Encoding.CP949, HeaderStyle.KOREAN))
    (sheet,) = _opened_in_libreoffice(tmp_path / "a.csv", code_page=_CP949)
    assert "table:formula" not in sheet
    assert all(shown in sheet for shown in ("수업내용", "똠방각하", "[보강]수학"))
