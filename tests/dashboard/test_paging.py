"""Pages by key."""

import pytest
from django.http import QueryDict

from collection.models import Run
from dashboard.paging import Page, read_page, without_position
from tests.collection.ledger import make_run

pytestmark = pytest.mark.django_db


def page(query: str) -> Page[Run]:
    return read_page(Run.objects.all(), QueryDict(query), size=3)


def walk(query: str, direction: str) -> list[list[int]]:
    pages = [page(query)]
    while following := getattr(pages[-1], direction):
        pages.append(page(following))
    return [[run.pk for run in found.rows] for found in pages]


def test_every_row_is_on_one_page_in_both_directions() -> None:
    ids = [make_run().pk for _ in range(7)][::-1]

    back = walk("", "older")
    forth = walk(f"after={ids[-1] - 1}", "newer")

    assert back == [ids[:3], ids[3:6], ids[6:]]
    assert forth == [ids[4:], ids[1:4], ids[:1]]


def test_links_keep_the_filters_and_drop_empty_ones() -> None:
    for _ in range(4):
        make_run()

    older = QueryDict(page("state=running&job=&before=999999999").older)

    assert older["state"] == "running"
    assert "job" not in older
    assert without_position(QueryDict("q=가람&after=3&state=")) == QueryDict("q=가람").urlencode()


@pytest.mark.parametrize("text", ["x", "-1", "9" * 30, "１", ""])
def test_position_that_is_no_id_is_the_first_page(text: str) -> None:
    run = make_run()

    assert page(f"before={text}").rows == [run]
