"""Log lines say which job and which booking they are about, and the commands understand that number."""

from __future__ import annotations

import logging
from unittest import mock

import pytest
from sqlalchemy.orm import Session
from structlog.stdlib import ProcessorFormatter

from bookingapp.core import queue
from bookingapp.core.claims import Claim
from bookingapp.core.db import transaction
from bookingapp.core.queue import Job
from bookingapp.integrations.calendly import CalendlyRejected
from tests.factories import NOW
from tests.service.jobs import finish, work

pytestmark = pytest.mark.any_database


def test_each_line_of_a_job_names_it_and_its_booking(session: Session) -> None:
    """Also a client's own lines inside of it, and the line that says that it failed; none after it."""
    with transaction(session):
        queue.enqueue(session, "test.one", key="one", args={"booking_id": 368}, run_at=NOW, now=NOW)
        queue.enqueue(session, "test.other", key="other", args={}, run_at=NOW, now=NOW)
    client = logging.getLogger("bookingapp.integrations.calendly")
    lines: list[str] = []
    write = ProcessorFormatter.format

    def keep(self: ProcessorFormatter, record: logging.LogRecord) -> str:
        lines.append(write(self, record))
        return lines[-1]

    def refuse(_job: Job, _held: Claim) -> None:
        client.warning("Calendly refused")
        raise CalendlyRejected("no")

    def succeed(job: Job, held: Claim) -> None:
        client.warning("Calendly answered")
        finish(session)(job, held)

    with mock.patch.object(ProcessorFormatter, "format", keep):
        assert work(session, refuse)
        client.warning("between jobs")
        assert work(session, succeed)
    said = {
        word: next(line for line in lines if word in line)
        for word in ("Calendly refused", "work_failed", "between jobs", "Calendly answered")
    }
    for word in ("Calendly refused", "work_failed"):
        assert "test.one" in said[word]
        assert "368" in said[word]
    assert "test.other" in said["Calendly answered"]
    for word in ("between jobs", "Calendly answered"):
        assert "test.one" not in said[word]
        assert "368" not in said[word]
