"""Read a query string as NEIS does, or say which code refuses it."""

from dataclasses import dataclass
from urllib.parse import parse_qsl

from .services import SERVICES, Service

KEYLESS_ROWS = 5
DEFAULT_ROWS = 100
MOST_ROWS = 1000


@dataclass(frozen=True, slots=True)
class Query:
    """One well-formed question. `keyless` ones get five rows, whatever page they ask for."""

    service: str
    filters: tuple[tuple[str, str], ...]
    page: int
    size: int
    wants_json: bool
    keyless: bool


def read_parameters(query_string: str) -> dict[str, str]:
    """Parameters by name; `type` is taken for `Type`, as NEIS takes it."""
    parameters = dict(parse_qsl(query_string, keep_blank_values=True))
    if "type" in parameters:
        parameters.setdefault("Type", parameters.pop("type"))
    return parameters


def wants_json(parameters: dict[str, str]) -> bool:
    return parameters.get("Type", "xml").lower() == "json"


def read_query(name: str, parameters: dict[str, str]) -> Query | str:
    """The query, or the code of the refusal. The key itself is not judged here."""
    service = SERVICES[name]
    keyless = "KEY" not in parameters
    page, size = 1, KEYLESS_ROWS
    if not keyless:
        paging = _read_paging(parameters)
        if isinstance(paging, str):
            return paging
        page, size = paging
    if any(not parameters.get(required) for required in service.required):
        return "ERROR-300"
    filters = _known_filters(service, parameters)
    return Query(name, filters, page, size, wants_json(parameters), keyless)


def _read_paging(parameters: dict[str, str]) -> tuple[int, int] | str:
    try:
        page = int(parameters.get("pIndex") or 1)
        size = int(parameters.get("pSize") or DEFAULT_ROWS)
    except ValueError:
        return "ERROR-333"
    if size > MOST_ROWS:
        return "ERROR-336"
    # Nobody knows what NEIS says to page 0; a position that cannot be is the nearest code.
    return (page, size) if page > 0 and size > 0 else "ERROR-333"


_DATES = (
    "ALL_TI_YMD", "TI_FROM_YMD", "TI_TO_YMD",
    "AA_YMD", "AA_FROM_YMD", "AA_TO_YMD",
    "MLSV_YMD", "MLSV_FROM_YMD", "MLSV_TO_YMD",
)  # fmt: skip
_SCHOOL_LIST = (
    "ATPT_OFCDC_SC_CODE", "SD_SCHUL_CODE", "SCHUL_NM", "SCHUL_KND_SC_NM", "LCTN_SC_NM",
    "FOND_SC_NM",
)  # fmt: skip


def _known_filters(service: Service, parameters: dict[str, str]) -> tuple[tuple[str, str], ...]:
    known = {*service.required, *service.filters}
    known.update(_SCHOOL_LIST if service.answers_as == "schoolInfo" else _DATES)
    return tuple(sorted((k, v) for k, v in parameters.items() if v and k in known))
