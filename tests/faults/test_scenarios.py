"""Every scenario in its small size: the short ones always, the others on demand (`-m long`)."""

from collections.abc import Iterator

import pytest

from tests.faults.running import run, servers
from tests.faults.scenarios import SCENARIOS
from tests.faults.scenarios import all as _all  # noqa: F401
from tests.faults.servers import Postgres

SEED = 20_260_518


@pytest.fixture(scope="module")
def postgres(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Postgres]:
    with servers(tmp_path_factory.mktemp("faults")) as started:
        yield started


CASES = [
    pytest.param(name, marks=[] if scenario.short else [pytest.mark.long])
    for name, scenario in sorted(SCENARIOS.items())
]


@pytest.mark.timeout(900)
@pytest.mark.parametrize("name", CASES)
def test_nothing_is_missing_doubled_wrong_or_extra(name: str, postgres: Postgres) -> None:
    result = run(SCENARIOS[name], postgres, seed=SEED, full=False)

    assert result.is_green, [result.reasons(), result.error, result.figures]
