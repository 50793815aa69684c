"""The cells of the map as HTML: there are thousands, and a template takes ten times as long."""

from django.urls import reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString, mark_safe
from django.utils.translation import gettext as _

from dashboard.coverage.reads import Map, Row, Tally

# Least share of collected schools, in percent, and the shade from there on.
_SHADES = ((98, 1), (90, 2), (60, 3), (0, 4))


def draw(coverage_map: Map) -> list[SafeString]:
    """One text of cells for each row, in the order of the groups and their rows."""
    address = reverse("dashboard:coverage-week", args=[coverage_map.mondays[0]])
    template = address.replace(coverage_map.mondays[0].isoformat(), "{monday}")
    weeks = [template.replace("{monday}", monday.isoformat()) for monday in coverage_map.mondays]
    blank = format_html('<td class="cell none"><span title="{}">·</span></td>', _("No run so far"))
    return [_row(row, weeks, blank) for group in coverage_map.groups for row in group.rows]


def _row(row: Row, weeks: list[str], blank: SafeString) -> SafeString:
    query = format_html("?office={}&amp;level={}", row.office, row.level)
    # Dates, counts and names of classes need no escaping.
    return mark_safe(  # noqa: S308
        "".join(
            blank
            if tally is None
            else f'<td class="cell {shade(tally)}"><a href="{address}{query}" '
            f'title="{tally.collected:,}/{tally.expected:,}">{tally.percent}</a></td>'
            for tally, address in zip(row.tallies, weeks, strict=True)
        )
    )


def shade(tally: Tally) -> str:
    """`full` for all schools, `trouble-N` where some is to be mended, else `quiet-N`."""
    if not tally.missing:
        return "full"
    step = next(step for least, step in _SHADES if tally.percent >= least)
    return f"trouble-{step}" if tally.trouble else f"quiet-{step}"
