"""The whole matrix of states and events, written out by hand."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

from bookingapp.bookings.states import TABLE, Event, Refusal, Status, decide

# One line for each state, one column for each event, in this order. A dot repeats nothing: "same" keeps the
# state and changes facts, "repeat", "late" and "forbidden" are the three refusals.
COLUMNS = (
    Event.SLOT_TAKEN,
    Event.SLOT_MOVED,
    Event.MOVE_BEGUN,
    Event.SLOT_LOST,
    Event.PAYMENT_RECEIVED,
    Event.SETTLED,
    Event.CANCEL,
    Event.EXPIRE,
    Event.COMPLETE,
    Event.RESTORED,
    Event.NO_SHOW,
    Event.NO_SHOW_UNDONE,
)
SHORT = {
    "sched": "scheduled",
    "conf": "confirmed",
    "done": "completed",
    "gone": "canceled",
    "no": "forbidden",
}
EXPECTED = {
    # state      taken moved begun  lost   paid   settled cancel expire  complete restored no_show undone
    "pending":   "sched sched repeat repeat paid   no     gone   expired no      no       no      no",
    "scheduled": "repeat sched sched gone  paid   conf    gone   expired no      repeat   sched   sched",
    "paid":      "paid  paid  paid   late  repeat  conf   gone   no      no      repeat   late    repeat",
    "confirmed": "repeat conf conf   gone  repeat  repeat gone   no      done    repeat   conf    conf",
    "completed": "repeat conf late   late  repeat  repeat no     no      repeat  repeat   done    done",
    "canceled":  "late  late  repeat repeat late   no     repeat no      no      no       late    repeat",
    "expired":   "late  late  repeat repeat late   no     no     repeat  no      paid     late    repeat",
}  # fmt: skip
CELLS = [
    (status, event, SHORT.get(outcome, outcome))
    for status, line in EXPECTED.items()
    for event, outcome in zip(COLUMNS, line.split(), strict=True)
]


@pytest.mark.parametrize(("status", "event", "outcome"), CELLS)
def test_each_cell(status: str, event: Event, outcome: str) -> None:
    assert decide(Status(status), event).value == outcome


def test_no_state_and_no_event_is_undecided() -> None:
    """A new state or a new event fails here until each of its cells is written above."""
    assert set(EXPECTED) == {status.value for status in Status}
    assert set(COLUMNS) == set(Event)
    assert {(status.value, event) for status in TABLE for event in TABLE[status]} == {
        (status, event) for status, event, _ in CELLS
    }


def test_the_words_of_the_history() -> None:
    """Every line of a booking's history names its event in one of these words: another word would not read the
    lines that were written before.
    """
    words = (
        "slot_taken slot_moved move_begun slot_lost payment_received settled cancel expire complete restored "
        "no_show no_show_undone"
    )
    assert [event.value for event in COLUMNS] == words.split()


def test_one_way_leads_out_of_an_end() -> None:
    """What comes late is kept as a fact, never as a move; but for money that finds its time still free, and for a
    session that had been moved and so has not taken place.
    """
    ways = {
        (status, event)
        for status in Status
        for event, decision in TABLE[status].items()
        if status.is_final and isinstance(decision, Status) and decision is not status
    }
    assert ways == {(Status.EXPIRED, Event.RESTORED), (Status.COMPLETED, Event.SLOT_MOVED)}
    assert {status for status in Status if not status.is_final} == {
        status for status in Status if decide(status, Event.CANCEL) is Status.CANCELED
    }


def test_only_settling_confirms() -> None:
    """Nothing that comes from outside confirms a booking by itself; a new time keeps what was confirmed before."""
    into = {
        event for row in TABLE.values() for event, decision in row.items() if decision is Status.CONFIRMED
    }
    stays = {event for event, decision in TABLE[Status.CONFIRMED].items() if decision is Status.CONFIRMED}
    assert into == {Event.SETTLED, *stays}
    assert {
        event
        for status in Status
        for event in stays
        if status is not Status.CONFIRMED and decide(status, event) is Status.CONFIRMED
    } == {Event.SLOT_MOVED}


def test_money_never_expires() -> None:
    for status in (Status.PAID, Status.CONFIRMED, Status.COMPLETED):
        assert decide(status, Event.EXPIRE) is Refusal.FORBIDDEN


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


def test_only_the_transition_writes_the_status() -> None:
    """No other line of the application assigns a booking's status."""
    root = Path(sys.modules["bookingapp"].__file__ or "").parent
    writers = []
    for path in root.rglob("*.py"):
        if "sandbox" in path.parts:
            continue
        assignments = (node for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Assign))
        writers += [
            f"{path.name}:{node.lineno}"
            for node in assignments
            if any(_is_the_status_of_a_booking(target) for target in node.targets)
        ]
    assert writers == []


def _is_the_status_of_a_booking(target: ast.expr) -> bool:
    return (
        isinstance(target, ast.Attribute)
        and target.attr == "status"
        and isinstance(target.value, ast.Name)
        and target.value.id in ("booking", "locked", "still", "found")
    )
