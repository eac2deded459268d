"""Two processes act on one claim of absence at once, on both databases: the booking, its money and its flags agree."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy.orm import Session

from bookingapp.bookings.codes import ATTENDANCE_FLAGS, AbsenceClaim, CauseCode, FlagCode
from bookingapp.bookings.models import Booking, HistoryEntry
from bookingapp.bookings.states import Status
from bookingapp.core.db import db
from bookingapp.core.settings import PROJECT_ROOT, Settings
from bookingapp.payments.models import Refund
from tests.endurance.racer import ACTS
from tests.factories import START, make_builder, reread
from tests.notifications.conftest import confirmed

pytestmark = pytest.mark.any_database

# Each is sent first in one of them, where both may write at once. More by hand: ENDURANCE_ROUNDS=50.
ROUNDS = {"sqlite": 1, "postgresql": 2}
SAID = START + timedelta(minutes=10)
LATER, LAST_MOMENT, OVER = (SAID + timedelta(hours=hours) for hours in (1, 23.9, 24))
# What was done before, then what two processes do at once, each with the moment that it takes for now.
RACES: tuple[tuple[tuple[str, ...], tuple[str, datetime], tuple[str, datetime]], ...] = (
    ((), ("claim", SAID), ("claim", SAID)),
    ((), ("claim", SAID), ("could not come", SAID)),
    ((), ("claim", SAID), ("refund", SAID)),
    ((), ("claim", SAID), ("cancel", SAID)),
    ((), ("claim", SAID), ("erase", SAID)),
    (("claim",), ("was there", LATER), ("could not come", LATER)),
    (("claim",), ("was there", LATER), ("was there", LATER)),
    (("claim",), ("was there", LATER), ("withdraw", LATER)),
    (("claim",), ("was there", LATER), ("cancel", LATER)),
    (("claim",), ("was there", LAST_MOMENT), ("time is over", OVER)),
    (("claim",), ("withdraw", LAST_MOMENT), ("time is over", OVER)),
    (("claim",), ("time is over", OVER), ("time is over", OVER)),
    (("claim",), ("time is over", OVER), ("refund", OVER)),
    (("claim",), ("time is over", OVER), ("could not come", OVER)),
    (("claim",), ("could not come", LATER), ("refund", LATER)),
    (("claim",), ("could not come", LATER), ("could not come", LATER)),
    (("claim", "was there"), ("dismiss", LATER), ("could not come", LATER)),
    (("claim", "was there"), ("dismiss", LATER), ("withdraw", LATER)),
    (("claim", "was there"), ("dismiss", LATER), ("refund", LATER)),
)


class Racer:
    """One of the two processes."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process
        assert self.read() == "ready"

    def send(self, act: str, booking_id: int, at: datetime, go: float) -> None:
        assert self._process.stdin is not None
        asked = {"act": act, "booking": booking_id, "at": at.isoformat(), "go": go}
        print(json.dumps(asked), file=self._process.stdin, flush=True)

    def read(self) -> object:
        assert self._process.stdout is not None
        return json.loads(self._process.stdout.readline())


@pytest.fixture
def racers(settings: Settings, tmp_path: Path, session: Session) -> Iterator[list[Racer]]:
    """Two processes with the application, on the test's database."""
    command = [sys.executable, "-m", "tests.endurance.racer", settings.database_url, str(tmp_path)]
    pipes: dict[str, Any] = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    with ExitStack() as stack:
        started = []
        for _ in range(2):
            process = stack.enter_context(
                subprocess.Popen(command, cwd=PROJECT_ROOT, stderr=subprocess.DEVNULL, **pipes)
            )
            stack.callback(process.kill)
            started.append(process)
        yield [Racer(process) for process in started]


def test_two_processes_at_once(session: Session, racers: list[Racer]) -> None:
    """Whoever is first, the money goes back at most once, no flag stays that nobody can settle, and no page fails."""
    builder = make_builder(session, slug="ada")
    orders = set()
    rounds = int(os.environ.get("ENDURANCE_ROUNDS") or ROUNDS[db.engine.dialect.name])
    for before, *pair in RACES:
        for turn in range(rounds):
            booking = confirmed(session, builder)
            for act in before:
                assert ACTS[act](session, booking.id, SAID) is True
            session.expunge_all()
            go = time.time() + 0.05
            for racer, (act, at) in zip(racers, pair if turn % 2 else pair[::-1], strict=True):
                racer.send(act, booking.id, at, go)
            answers = [racer.read() for racer in racers]
            told = f"{before} {[act for act, _ in pair]}: {answers}"
            assert all(one in (True, False, None, "conflict") for one in answers), told
            session.rollback()
            _agree(session, booking, told)
            orders.add((before, tuple(act for act, _ in pair), reread(session, booking).status))
            # What is left of the claim times out, once.
            for _ in range(2):
                if reread(session, booking).absence_claim is AbsenceClaim.ASKED:
                    session.rollback()
                    ACTS["time is over"](session, booking.id, OVER + timedelta(hours=1))
            session.expunge_all()
            _agree(session, booking, told)
    assert len(orders) >= len(RACES)


def _agree(session: Session, booking: Booking, told: str) -> None:
    """The booking's facts agree with each other."""
    row = reread(session, booking)
    refunded = session.scalar(sa.select(sa.func.sum(Refund.amount_minor)).where(Refund.booking_id == row.id))
    assert (refunded or 0) in (0, 6000), told
    assert row.status in (Status.CONFIRMED, Status.CANCELED), told
    if row.status is Status.CANCELED:
        assert refunded == 6000, told
    expected = {
        AbsenceClaim.ASKED: {FlagCode.ABSENCE_CLAIMED},
        AbsenceClaim.DENIED: {FlagCode.ABSENCE_DENIED},
    }
    is_over = row.status is Status.CANCELED
    flags = {one.code for one in row.open_flags} & set(ATTENDANCE_FLAGS)
    wanted = set() if is_over or row.absence_claim is None else expected.get(row.absence_claim, set())
    assert flags == wanted, told
    claims = sa.select(sa.func.count()).where(
        HistoryEntry.booking_id == row.id, HistoryEntry.cause == CauseCode.ABSENCE_CLAIMED
    )
    assert (session.scalar(claims) or 0) <= 1, told
