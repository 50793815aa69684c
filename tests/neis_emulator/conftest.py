"""One small world served over real HTTP; each test gets it without faults."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
import requests

from collection.neis_emulator import Emulator, School, World, running

KEY = "first-key"
Ask = Callable[..., requests.Response]


@pytest.fixture(scope="session")
def served() -> Iterator[Emulator]:
    with running(Emulator(World(7, late_publishers=False), keys=[KEY, "second-key"])) as emulator:
        yield emulator


@pytest.fixture
def emulator(served: Emulator) -> Iterator[Emulator]:
    served.journal.clear()
    yield served
    served.faults.switch([])
    served.desk.blocked = set()
    served.desk.daily_limit = None
    served.desk.forget_calls()


@pytest.fixture(scope="session")
def school(served: Emulator) -> School:
    """A high school of more than one page in three weeks."""
    return next(s for s in served.world.schools if s.level == "high")


@pytest.fixture
def ask(emulator: Emulator, school: School) -> Ask:
    """A request for one week of the school; None takes a parameter away."""
    usual = {
        "KEY": KEY,
        "Type": "json",
        "pSize": "1000",
        "ATPT_OFCDC_SC_CODE": school.office_code,
        "SD_SCHUL_CODE": school.school_code,
        "TI_FROM_YMD": "20260608",
        "TI_TO_YMD": "20260614",
    }

    def get(service: str = school.service, **changes: Any) -> requests.Response:
        parameters = {k: v for k, v in {**usual, **changes}.items() if v is not None}
        return requests.get(f"{emulator.base_url}/{service}", params=parameters, timeout=5)

    return get
