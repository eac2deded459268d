"""Prints rows as a table."""

from __future__ import annotations

from collections.abc import Iterable, Sequence


def align_columns(lines: Sequence[tuple[str, ...]]) -> Iterable[str]:
    """The lines, padded to columns; the last column is not padded."""
    widths = [max(map(len, column)) for column in list(zip(*lines, strict=True))[:-1]]
    for line in lines:
        cells = [cell.ljust(width) for cell, width in zip(line, widths, strict=False)]
        yield "  ".join([*cells, line[-1]]).rstrip()
