"""The whole matrix of states and events, written out by hand."""

from __future__ import annotations

import ast
import subprocess
import sys

import pytest

from bookingapp.bookings.states import TABLE, Event, Status, decide

# One line for each state, one column for each event, in this order. "repeat", "late" and "no" are the refusals.
# These are also the words in which a booking's history stores its events: another word would not read old lines.
COLUMNS = (
    "slot_taken slot_moved move_begun slot_lost payment_received settled cancel expire complete restored "
    "no_show no_show_undone builder_absent"
)
SHORT = {
    "sched": "scheduled",
    "conf": "confirmed",
    "done": "completed",
    "gone": "canceled",
    "no": "forbidden",
}
EXPECTED = {
    # state      taken moved begun  lost   paid   settled cancel expire  complete restored no_show undone absent
    "pending":   "sched sched repeat repeat paid   no     gone   expired no      no       no      no  no",
    "scheduled": "repeat sched sched gone  paid   conf    gone   expired done    repeat   sched   sched  gone",
    "paid":      "paid  paid  paid   late  repeat  conf   gone   no      no      repeat   late    repeat gone",
    "confirmed": "repeat conf conf   gone  repeat  repeat gone   no      done    repeat   conf    conf  gone",
    "completed": "repeat conf late   late  repeat  repeat no     no      repeat  repeat   done    done  gone",
    "canceled":  "late  late  repeat repeat late   no     repeat no      no      no       late    repeat repeat",
    "expired":   "late  late  repeat repeat late   no     no     repeat  no      paid     late    repeat no",
}  # fmt: skip
CELLS = [
    (Status(status), Event(event), SHORT.get(outcome, outcome))
    for status, line in EXPECTED.items()
    for event, outcome in zip(COLUMNS.split(), line.split(), strict=True)
]


@pytest.mark.parametrize(("status", "event", "outcome"), CELLS)
def test_each_cell(status: Status, event: Event, outcome: str) -> None:
    assert decide(status, event).value == outcome


def test_no_state_and_no_event_is_undecided() -> None:
    """A new state or a new event fails here until each of its cells is written above."""
    assert set(EXPECTED) == {status.value for status in Status}
    assert {event.value for event in Event} == set(COLUMNS.split())
    assert {(status, event) for status in TABLE for event in TABLE[status]} == {cell[:2] for cell in CELLS}


def test_one_way_leads_out_of_an_end() -> None:
    """What comes late is kept as a fact, never as a move; but for money that finds its time still free, and for a
    session that has not taken place: it had been moved, or its builder did not come.
    """
    ways = {
        (status, event)
        for status in Status
        for event, decision in TABLE[status].items()
        if status.is_final and isinstance(decision, Status) and decision is not status
    }
    assert ways == {
        (Status.EXPIRED, Event.RESTORED),
        (Status.COMPLETED, Event.SLOT_MOVED),
        (Status.COMPLETED, Event.BUILDER_ABSENT),
    }
    assert {status for status in Status if not status.is_final} == {
        status for status in Status if decide(status, Event.CANCEL) is Status.CANCELED
    }


def test_the_table_cannot_be_changed() -> None:
    with pytest.raises(TypeError):
        TABLE[Status.PENDING] = {}  # type: ignore[index]


def test_the_state_machine_needs_no_framework() -> None:
    script = (
        "import sys, bookingapp.bookings.states; "
        "print(sorted(m for m in sys.modules if m in ('flask', 'sqlalchemy', 'requests')))"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert ast.literal_eval(done.stdout) == []
