"""``docs/booking-lifecycle.md`` shows the table of states as the code has it."""

from __future__ import annotations

import re

from flask.testing import FlaskCliRunner

from bookingapp.bookings.states import Event, Status
from bookingapp.core.settings import PROJECT_ROOT

PAGE = PROJECT_ROOT / "docs" / "booking-lifecycle.md"
TABLE = re.compile(r"^\| event \|.*?(?=\n\n)", re.MULTILINE | re.DOTALL)


def test_the_page_shows_what_the_command_prints(runner: FlaskCliRunner) -> None:
    """After a change of the table: ``flask --app wsgi bookings states``, and its output into the page."""
    printed = runner.invoke(args=["bookings", "states"])
    assert printed.exit_code == 0
    (shown,) = TABLE.findall(PAGE.read_text())
    assert shown == printed.output.strip()


def test_the_command_leaves_nothing_out(runner: FlaskCliRunner) -> None:
    """A column for each state, a line for each event."""
    head, _, *lines = runner.invoke(args=["bookings", "states"]).output.strip().splitlines()
    assert [cell.strip() for cell in head.strip("|").split("|")] == ["event", *Status]
    assert [line.split("`")[1] for line in lines] == list(Event)
    assert {line.count("|") for line in lines} == {len(Status) + 2}
