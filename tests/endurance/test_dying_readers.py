"""A process that is killed in the middle of a page, at any statement, leaves nothing half and blocks nobody."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import sqlalchemy as sa
from sqlalchemy.orm import Session

from bookingapp.core.db import Base
from bookingapp.core.settings import PROJECT_ROOT, Settings
from tests.factories import make_builder
from tests.notifications.conftest import confirmed

pytestmark = pytest.mark.any_database


def everything(session: Session) -> dict[str, list[tuple[object, ...]]]:
    """Every row of every table."""
    session.rollback()
    found = {
        table.name: [tuple(row) for row in session.execute(sa.select(table).order_by(*table.primary_key))]
        for table in Base.metadata.sorted_tables
    }
    session.rollback()
    return found


@pytest.mark.once_on_postgresql
@pytest.mark.parametrize("page", ["/bookings/{ref}?lang=es", "/builders/ada"])
def test_a_page_is_read_as_a_whole_or_not_at_all(
    session: Session, settings: Settings, tmp_path: Path, page: str
) -> None:
    """The first page keeps its reader's language, which is all that it writes; the other one writes nothing."""
    booking = confirmed(session, make_builder(session, slug="ada"))
    before = everything(session)
    command = [sys.executable, "-m", "tests.endurance.dying_reader", settings.database_url, str(tmp_path)]
    killed, seen = 0, []
    with subprocess.Popen(
        [*command, page.format(ref=booking.ref)],
        cwd=PROJECT_ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as readers:
        assert readers.stdin is not None
        assert readers.stdout is not None
        while (ended := readers.stdout.readline().strip()) == "killed":
            killed += 1
            seen.append(everything(session))
            print(file=readers.stdin, flush=True)
    assert ended == "200"
    assert killed >= 2
    after = everything(session)
    assert [one for one in seen if one not in (before, after)] == []
    changed = {name for name in before if before[name] != after[name]}
    assert changed == ({"bookings"} if "lang" in page else set())
    for old, new in zip(before["bookings"], after["bookings"], strict=True):
        assert sum(one != other for one, other in zip(old, new, strict=True)) == ("lang" in page)
