"""One row for each thing measured, and the table of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Row:
    """``measured`` and ``reference`` are in ``unit``; ``ratio`` is the one by the other where there is a reference.

    ``limit`` bounds the ratio, or the measured value where there is no reference: at most it, or at least it
    where ``at_least``. None is no target.
    """

    what: str
    measured: float
    unit: str
    reference: float | None = None
    limit: float | None = None
    at_least: bool = False
    floor: float = 0.0
    """Measured values up to this one are good whatever the ratio: below it the noise is larger than the thing."""

    @property
    def ratio(self) -> float | None:
        """Measured by reference."""
        return self.measured / self.reference if self.reference else None

    @property
    def holds(self) -> bool:
        """Whether the target is met."""
        if self.limit is None:
            return True
        value = self.measured if self.ratio is None else self.ratio
        return value >= self.limit if self.at_least else value <= self.limit or self.measured <= self.floor

    @property
    def target(self) -> str:
        """The target in characters."""
        if self.limit is None:
            return ""
        return f"{'>=' if self.at_least else '<='} {self.limit:g}"


def render(rows: Sequence[Row]) -> str:
    """The table as text."""
    head = ("what", "measured", "reference", "ratio", "target", "")
    lines = [head] + [
        (
            row.what,
            _number(row.measured, row.unit),
            "" if row.reference is None else _number(row.reference, row.unit),
            "" if row.ratio is None else f"{row.ratio:.2f}",
            row.target,
            "" if row.limit is None else ("ok" if row.holds else "MISSED"),
        )
        for row in rows
    ]
    widths = [max(len(line[column]) for line in lines) for column in range(len(head))]
    rule = "  ".join("-" * width for width in widths)
    rows_of_text = [
        "  ".join(text.ljust(width) for text, width in zip(line, widths, strict=True)) for line in lines
    ]
    return "\n".join(text.rstrip() for text in (rows_of_text[0], rule, *rows_of_text[1:]))


def _number(value: float, unit: str) -> str:
    digits = 0 if value >= 100 or value == int(value) else 1
    return f"{value:.{digits}f} {unit}".rstrip()
