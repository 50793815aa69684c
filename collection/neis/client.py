"""Asks NEIS, page by page, until an answer is whole."""

import time
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from datetime import date

import requests
import urllib3

from collection.neis.answers import Answer, Page, read_page
from collection.neis.connections import EndingAdapter, reading_until
from collection.neis.errors import (
    BadRequest,
    ConnectionFailed,
    DeadlinePassed,
    Incomplete,
    KeyProblem,
    Malformed,
    NeisError,
    ServerFault,
    Throttled,
    TimedOut,
)
from collection.neis.keys import KeyRing
from collection.neis.redaction import Redactor
from collection.neis.rows import join
from collection.neis.services import SCHOOL_INFO, SERVICES, Service

PAGE_SIZE = 1000
SAMPLE_CHARACTERS = 300
_CHUNK_BYTES = 256 * 1024

Gate = Callable[[float | None], AbstractContextManager[None]]
"""Called with the deadline of the fetch, a time of time.monotonic()."""


def _open_gate(deadline: float | None) -> AbstractContextManager[None]:
    return nullcontext()


@dataclass(frozen=True, slots=True)
class Limits:
    """`request_seconds` bounds one request from the connection to the last byte."""

    connect_seconds: float = 5.0
    read_seconds: float = 10.0
    request_seconds: float = 20.0
    body_bytes: int = 16 * 1024 * 1024


class NeisClient:
    """Thread-safe. `gate` is entered around each HTTP request: it is where limits are kept."""

    def __init__(
        self,
        *,
        base_url: str,
        keys: KeyRing,
        limits: Limits | None = None,
        gate: Gate = _open_gate,
        connections: int = 32,
    ) -> None:
        self._base_url = base_url
        self.keys = keys
        self._limits = limits or Limits()
        self._gate = gate
        self._session = requests.Session()
        # A proxy of the environment would see the key, and .netrc has no business here.
        self._session.trust_env = False
        adapter = EndingAdapter(pool_connections=1, pool_maxsize=connections)
        self._session.mount("http://", adapter)
        self._session.mount("https://", adapter)

    def close(self) -> None:
        self._session.close()

    def schools(self, office_code: str = "", *, deadline: float | None = None) -> Answer:
        parameters = {"ATPT_OFCDC_SC_CODE": office_code} if office_code else {}
        return self.ask(SCHOOL_INFO, parameters, deadline=deadline)

    def of_school(
        self,
        service_name: str,
        *,
        office_code: str,
        school_code: str,
        first: date,
        last: date,
        deadline: float | None = None,
    ) -> Answer:
        """What a service with dates holds for a school from `first` to `last`, both included."""
        service = SERVICES[service_name]
        parameters = {
            "ATPT_OFCDC_SC_CODE": office_code,
            "SD_SCHUL_CODE": school_code,
            service.from_parameter: f"{first:%Y%m%d}",
            service.to_parameter: f"{last:%Y%m%d}",
        }
        return self.ask(service, parameters, deadline=deadline)

    def ask(
        self, service: Service, parameters: dict[str, str], *, deadline: float | None = None
    ) -> Answer:
        """Every page of an answer. `deadline` is a time of time.monotonic().

        Raises Incomplete when the pages do not add up. Without a key it returns the five rows
        that NEIS gives, and `complete` says so.
        """
        asking = _Asking(self, service, parameters, deadline)
        try:
            return asking.whole_answer()
        except NeisError as error:
            error.requests = asking.requests
            raise

    def get(self, service: Service, query: dict[str, str], deadline: float | None) -> bytes:
        """The body of one page. Raises Transient, BadRequest or DeadlinePassed."""
        with self._gate(deadline):
            started = time.monotonic()
            end = started + self._limits.request_seconds
            if deadline is not None:
                if started >= deadline:
                    raise DeadlinePassed("The time for this fetch is over.")
                end = min(end, deadline)
            connect_seconds = min(self._limits.connect_seconds, end - started)
            # `from None` throughout: the causes name the address, and with it the key.
            try:
                with (
                    reading_until(end),
                    self._session.get(
                        f"{self._base_url}/{service.name}",
                        params=query,
                        timeout=(connect_seconds, self._limits.read_seconds),
                        allow_redirects=False,
                        stream=True,
                    ) as response,
                ):
                    _check_status(response)
                    return _read_body(response, most_bytes=self._limits.body_bytes)
            except (requests.Timeout, urllib3.exceptions.TimeoutError):
                raise TimedOut("NEIS did not answer in time.") from None
            except (requests.RequestException, urllib3.exceptions.HTTPError, OSError) as error:
                raise ConnectionFailed(
                    f"The connection to NEIS failed ({type(error).__name__})."
                ) from None


class _Asking:
    """One answer under way: the key in use, and how many requests it took so far."""

    def __init__(
        self,
        client: NeisClient,
        service: Service,
        parameters: dict[str, str],
        deadline: float | None,
    ) -> None:
        self._client = client
        self._service = service
        self._parameters = parameters
        self._deadline = deadline
        self._key = client.keys.current()
        self.requests = 0

    def whole_answer(self) -> Answer:
        first = self._page(1)
        if self._key is None:
            return Answer(rows=first.rows, total=first.total, requests=self.requests)
        pages = [first]
        last = -(-first.total // PAGE_SIZE)
        while len(pages) < last:
            if len(pages[-1].rows) != PAGE_SIZE:
                raise Incomplete(f"Page {len(pages)} of {last} is not full.")
            page = self._page(len(pages) + 1)
            _check_follows(page, pages)
            pages.append(page)
        sent = sum(len(page.rows) for page in pages)
        if sent != first.total:
            raise Incomplete(f"NEIS counts {first.total} rows and sent {sent}.")
        if any(page.rows.columns.keys() != first.rows.columns.keys() for page in pages):
            raise Malformed(f"Pages of {self._service.name} differ in their fields.")
        return Answer(
            rows=join([page.rows for page in pages]), total=first.total, requests=self.requests
        )

    def _page(self, number: int) -> Page:
        """A key that is turned away is set aside, and the page is asked for with the next."""
        while True:
            query = {**self._parameters, "Type": "json", "pIndex": str(number)}
            query["pSize"] = str(PAGE_SIZE)
            if self._key is not None:
                query["KEY"] = self._key.reveal()
            try:
                if self._key is not None:
                    self._client.keys.count(self._key)
                self.requests += 1
                body = self._client.get(self._service, query, self._deadline)
                return read_page(body, self._service)
            except KeyProblem as problem:
                problem.args = (self._redact(str(problem)),)
                if self._key is None:
                    raise
                self._client.keys.set_aside(self._key, problem)
                self._key = self._client.keys.current()
            except NeisError as error:
                error.args = (self._redact(str(error)),)
                if isinstance(error, Malformed):
                    error.sample = self._redact(error.sample)[:SAMPLE_CHARACTERS]
                raise

    def _redact(self, text: str) -> str:
        """A page or a message that quotes its own address back would quote the key."""
        return Redactor([self._key.reveal()] if self._key else [])(text)


def _check_follows(page: Page, pages: list[Page]) -> None:
    if page.total != pages[0].total:
        raise Incomplete(f"The total moved from {pages[0].total} to {page.total} between pages.")
    if any(page.rows == earlier.rows for earlier in pages):
        raise Incomplete(f"Page {len(pages) + 1} repeats an earlier one.")


def _check_status(response: requests.Response) -> None:
    status = response.status_code
    if status == 200:
        return
    code = f"HTTP {status}"
    wait = _retry_after(response.headers.get("Retry-After", ""))
    if status == 429 or (status == 503 and wait is not None):
        raise Throttled("NEIS asks to slow down.", code=code, retry_after_seconds=wait)
    if status >= 500:
        raise ServerFault(f"NEIS answered with {code}.", code=code)
    raise BadRequest(f"NEIS answered with {code}.", code=code)


def _retry_after(value: str) -> float | None:
    """Only the form in seconds: the other, a date, needs clocks that agree."""
    return float(value) if value.isascii() and value.isdigit() else None


def _read_body(response: requests.Response, *, most_bytes: int) -> bytes:
    chunks: list[bytes] = []
    size = 0
    while chunk := response.raw.read1(_CHUNK_BYTES, decode_content=True):
        chunks.append(chunk)
        size += len(chunk)
        if size > most_bytes:
            raise Malformed(f"The answer is larger than {most_bytes} bytes.")
    return b"".join(chunks)
