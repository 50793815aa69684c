"""The rows of an answer, kept column by column: that is how they are checked and read."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain

Row = dict[str, str | None]
Column = Sequence[str | None]


@dataclass(frozen=True, slots=True)
class Rows:
    """Every column has a value for each row; equal values of a page are one object."""

    columns: Mapping[str, Column] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(next(iter(self.columns.values()), ()))

    def __iter__(self) -> Iterator[Row]:
        return map(self.row, range(len(self)))

    def row(self, index: int) -> Row:
        return {name: values[index] for name, values in self.columns.items()}


def join(parts: Sequence[Rows]) -> Rows:
    """One after the other; they have the same columns."""
    if len(parts) == 1:
        return parts[0]
    return Rows(
        {
            name: list(chain.from_iterable(part.columns[name] for part in parts))
            for name in parts[0].columns
        }
    )
