"""The state table as Markdown, for the documentation."""

from __future__ import annotations

from bookingapp.bookings.states import TABLE, Event, Refusal, Status

WORDS = {Refusal.REPEAT: "·", Refusal.LATE: "late", Refusal.FORBIDDEN: "409"}


def markdown() -> str:
    """One line for each event, one column for each status, in the order of the code."""
    lines = [
        _table_line("event", *(status.value for status in Status)),
        _table_line("---", *("---" for _ in Status)),
    ]
    lines += [
        _table_line(f"`{event.value}`", *(_decision_cell(status, event) for status in Status))
        for event in Event
    ]
    return "\n".join(lines)


def _decision_cell(status: Status, event: Event) -> str:
    decision = TABLE[status][event]
    if isinstance(decision, Refusal):
        return WORDS[decision]
    return "stays" if decision is status else f"**{decision.value}**"


def _table_line(*cells: str) -> str:
    return f"| {' | '.join(cells)} |"
