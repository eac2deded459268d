"""A rehearsal says what a replay would do, and changes nothing; and the commands of the inbox."""

from __future__ import annotations

import json
from datetime import datetime, timedelta
from typing import Any

import pytest
import sqlalchemy as sa
from flask.testing import FlaskCliRunner
from sqlalchemy.orm import Session

from bookingapp.bookings.codes import FlagCode
from bookingapp.bookings.states import Status
from bookingapp.core import services
from bookingapp.core.claims import Batch
from bookingapp.core.clock import utcnow
from bookingapp.core.db import Base, db, end_read, transaction
from bookingapp.core.errors import Conflict
from bookingapp.core.queue import Job, WorkState
from bookingapp.outcomes import Failure
from bookingapp.webhooks import rehearsal, replay, tasks
from bookingapp.webhooks.handlers import YOUNG, Context
from bookingapp.webhooks.models import DeliveryOutcome, InboxEvent, Provider
from bookingapp.webhooks.rehearsal import Change, Rehearsal
from tests import fakes
from tests.factories import NOW, event_type_uri, make_booking, make_builder, published, reread, stripe_event
from tests.service.conftest import Checkout
from tests.service.jobs import invitee_created, keep

pytestmark = pytest.mark.any_database

Dump = dict[str, list[tuple[Any, ...]]]


def dump() -> Dump:
    """Everything that is in the database."""
    with db.engine.connect() as connection:
        return {
            table.name: [
                tuple(row) for row in connection.execute(sa.select(table).order_by(*table.primary_key))
            ]
            for table in Base.metadata.sorted_tables
        }


def rehearse(session: Session, event: InboxEvent, now: datetime = NOW) -> Rehearsal:
    """A rehearsal that left everything as it was."""
    before, level = dump(), session.connection().get_isolation_level()
    end_read(session)
    found = rehearsal.rehearse_replay(session, services.get(Context), event, clock=lambda: now)
    assert not session.in_transaction()
    assert dump() == before
    assert session.connection().get_isolation_level() == level
    end_read(session)
    return found


def test_a_time_that_was_never_recorded(session: Session) -> None:
    """Everything that would follow is listed, and then it follows just so."""
    booking = make_booking(session)
    body, slot = invitee_created(session, booking)
    event = keep(session, Provider.CALENDLY, body)
    found = rehearse(session, event)
    assert (found.outcome, found.state) == (DeliveryOutcome.SLOT_RECORDED, WorkState.DONE)
    assert found.tracking_id == booking.tracking_id
    assert Change("status", Status.PENDING, Status.SCHEDULED) in found.changes
    assert Change("starts_at", None, slot.starts_at) in found.changes
    assert "invitee_uri" in found.columns
    assert "updated_at" not in found.columns
    (line,) = found.history
    assert (line.from_status, line.to_status) == (Status.PENDING, Status.SCHEDULED)
    promised = [(job.name, job.key, job.run_at) for job in found.jobs]
    assert [name for name, _, _ in promised] == ["mail.booking", "bookings.expire"]

    known = sa.select(sa.func.max(Job.id))
    newest = session.scalar(known) or 0
    with transaction(session):
        replay.replay_delivery(session, event, now=NOW)
    assert tasks.apply_next(session, services.get(Context), Batch(InboxEvent), clock=lambda: NOW)
    kept = session.scalars(sa.select(Job).where(Job.id > newest).order_by(Job.run_at, Job.id)).all()
    assert [(job.name, job.key, job.run_at) for job in kept] == promised
    end_read(session)
    assert reread(session, booking).status is Status.SCHEDULED


def test_a_payment(session: Session, checkout: Checkout) -> None:
    """Stripe is really asked; the money would be entered once, and the mails enqueued."""
    _, event = checkout.paid()
    found = rehearse(session, keep(session, Provider.STRIPE, event))
    assert found.outcome is DeliveryOutcome.CHECKOUT_SESSION_RECORDED
    assert found.facts == {"status": "complete", "payment_status": "paid"}
    assert Change("status", Status.SCHEDULED, Status.CONFIRMED) in found.changes
    assert Change("payment", "open", "paid") in found.changes
    (entry,) = found.ledger
    assert (entry.kind, entry.amount_minor, entry.currency) == ("charge", 6000, "GBP")
    assert [line.to_status for line in found.history] == [Status.PAID, Status.CONFIRMED]
    assert {"mail.booking", "bookings.complete"} <= {job.name for job in found.jobs}


def test_a_dispute_would_be_flagged(session: Session, checkout: Checkout) -> None:
    _, event = checkout.paid()
    keep(session, Provider.STRIPE, event, state=WorkState.RECEIVED)
    assert tasks.apply_next(session, services.get(Context), Batch(InboxEvent), clock=lambda: NOW)
    dispute = checkout.stripe.dispute("needs_response", "fraudulent")
    found = rehearse(session, keep(session, Provider.STRIPE, stripe_event("charge.dispute.created", dispute)))
    payment, attention = found.changes
    assert (payment.what, payment.before, payment.after) == ("payment", "paid", "disputed")
    assert (attention.what, attention.before) == ("attention", None)
    assert attention.after == (FlagCode.DISPUTE_OPEN,)


def test_a_step_that_fails(session: Session, monkeypatch: pytest.MonkeyPatch) -> None:
    booking = make_booking(session)
    body, _ = invitee_created(session, booking)

    def failing(*_: object, **__: object) -> None:
        raise ZeroDivisionError("grace@example.org")

    monkeypatch.setattr("bookingapp.webhooks.handlers.record_invitee", failing)
    found = rehearse(session, keep(session, Provider.CALENDLY, body))
    assert (found.has_failed, found.outcome) == (True, Failure.UNEXPECTED)
    assert found.facts == {"error": "ZeroDivisionError"}


def test_what_is_not_known_yet_would_be_retried(session: Session, stripe_wire: fakes.Stripe) -> None:
    body = stripe_event("refund.created", published("stripe/refund.json"))
    event = keep(session, Provider.STRIPE, body)
    assert rehearse(session, event).retried_later
    assert not rehearse(session, event, NOW + YOUNG).retried_later


def test_an_event_without_handler(session: Session) -> None:
    found = rehearse(session, keep(session, Provider.STRIPE, b"{}", state=WorkState.IGNORED))
    assert (found.outcome, found.changes_nothing) == (DeliveryOutcome.UNREADABLE, True)


@pytest.mark.parametrize("state", [state for state in WorkState if state.is_open])
def test_an_open_row_is_refused(session: Session, state: WorkState) -> None:
    event = keep(session, Provider.STRIPE, b"{}", state=state)
    with pytest.raises(Conflict, match="has not ended yet"):
        rehearse(session, event)
    with pytest.raises(Conflict, match="has not ended yet"), transaction(session):
        replay.replay_delivery(session, event, now=NOW)


def forget(session: Session, event: InboxEvent) -> InboxEvent:
    """Let the body go, as retention does."""
    with transaction(session):
        session.execute(sa.update(InboxEvent).where(InboxEvent.id == event.id).values(body=None))
    found = session.get_one(InboxEvent, event.id, populate_existing=True)
    end_read(session)
    return found


class TestCommands:
    """``flask webhooks``."""

    @pytest.fixture
    def event(self, session: Session) -> InboxEvent:
        """A dead delivery of a time."""
        self.booking = make_booking(session, now=utcnow())
        body, _ = invitee_created(session, self.booking)
        event = keep(session, Provider.CALENDLY, body, now=utcnow())
        keep(session, Provider.STRIPE, b"{}", state=WorkState.IGNORED, now=utcnow() - timedelta(days=3))
        return event

    def say(self, runner: FlaskCliRunner, *words: str, status: int = 0) -> str:
        done = runner.invoke(args=["webhooks", *words])
        assert done.exit_code == status, done.output
        assert bool(done.stderr) is bool(status)
        assert "Traceback" not in done.output
        return done.stderr if status else done.stdout

    @pytest.mark.parametrize(
        ("words", "lines"),
        [
            ((), 2),
            (("--state", "dead"), 1),
            (("--provider", "calendly"), 1),
            (("--type", "invitee.created"), 1),
            (("--since", "24h"), 1),
            (("--since", "7d"), 2),
            (("--since", "2020-01-01"), 2),
            (("--limit", "1"), 1),
        ],
    )
    def test_list(
        self, runner: FlaskCliRunner, event: InboxEvent, words: tuple[str, ...], lines: int
    ) -> None:
        said = self.say(runner, "list", *words).splitlines()
        assert said[0].split() == ["ID", "RECEIVED", "PROVIDER", "TYPE", "STATE", "TRIES", "OUTCOME"]
        assert len(said) == 1 + lines
        column = said[0].index("STATE")
        assert all(line[column - 2 : column] == "  " and line[column] != " " for line in said)

    def test_list_what_is_not_there(self, runner: FlaskCliRunner, event: InboxEvent) -> None:
        assert self.say(runner, "list", "--booking", self.booking.ref) == "no matching deliveries\n"
        assert "no booking" in self.say(runner, "list", "--booking", "nonsense", status=1)
        assert "is no time; write" in self.say(runner, "list", "--since", "yesterday", status=2)

    def test_from_dead_to_done(self, runner: FlaskCliRunner, session: Session, event: InboxEvent) -> None:
        """Rehearsed, replayed, applied; then everything that it did is shown."""
        number, ref = str(event.id), self.booking.tracking_id
        before = dump()
        said = self.say(runner, "replay", number, "--dry-run")
        assert dump() == before
        for line in (
            "calendly invitee.created. A replay would do this, and has not done it:",
            "end: done, slot recorded",
            "status: pending -> scheduled",
            "history: pending -> scheduled (slot_taken)",
            "job: bookings.expire, due ",
        ):
            assert line in said
        assert "will be applied by the worker" in self.say(runner, "replay", number)
        assert "has not ended yet" in self.say(runner, "replay", number, status=1)
        assert tasks.apply_next(session, services.get(Context), Batch(InboxEvent), clock=utcnow)
        said = self.say(runner, "show", number)
        for line in (
            "signature: 3 s old on receipt, by key 1 (0 is the first in the settings)",
            "state: done",
            "tries: 9 (8 of them do not count)",
            f"booking: {ref}",
            "pending -> scheduled: webhook invitee.created",
            "outbox: bookings.expire, received, due ",
            "outbox: mail.booking, received, due ",
        ):
            assert line in said
        assert "John Doe" not in said
        assert self.say(runner, "list", "--booking", ref).count("\n") == 2

    def test_every_dead_one(self, runner: FlaskCliRunner, session: Session) -> None:
        for number in range(3):
            last = keep(session, Provider.STRIPE, b'{"id": %d}' % number)
        forget(session, last)
        said = self.say(runner, "replay", "--state", "dead")
        assert "2 dead deliveries will be applied" in said
        assert "1 has no body any more" in said
        assert "0 dead deliveries" in self.say(runner, "replay", "--state", "dead")

    def test_bodies(self, runner: FlaskCliRunner, session: Session, event: InboxEvent) -> None:
        said = self.say(runner, "show", str(event.id), "--body")
        assert json.loads(said.partition("body:\n")[2])["event"] == "invitee.created"
        odd = keep(session, Provider.CALENDLY, b"caf\xe9 \x1b[31m")
        said = self.say(runner, "show", str(odd.id), "--body")
        assert "this body is not JSON" in said
        assert "caf\\xe9 \\x1b[31m" in said
        forget(session, odd)
        assert "The body has been deleted" in self.say(runner, "show", str(odd.id), "--body")
        assert "has been deleted" in self.say(runner, "replay", str(odd.id), status=1)

    @pytest.mark.parametrize(
        ("words", "status", "said"),
        [
            (("show", "4711"), 1, "There is no delivery 4711."),
            (("replay", "4711"), 1, "There is no delivery 4711."),
            (("replay", "4711", "--dry-run"), 1, "There is no delivery 4711."),
            (("replay",), 2, "name one delivery"),
            (("replay", "1", "--state", "dead"), 2, "name one delivery"),
            (("replay", "--state", "dead", "--dry-run"), 2, "rehearse one at a time"),
        ],
    )
    def test_refused_in_words(
        self, runner: FlaskCliRunner, session: Session, words: tuple[str, ...], status: int, said: str
    ) -> None:
        assert said in self.say(runner, *words, status=status)

    def test_a_rehearsal_that_fails(
        self, runner: FlaskCliRunner, session: Session, checkout: Checkout
    ) -> None:
        """The reason is shown; the row keeps its tries."""
        _, event = checkout.paid()
        row = keep(session, Provider.STRIPE, event)
        checkout.stripe.fail = [500] * 5
        before = dump()
        said = self.say(runner, "replay", str(row.id), "--dry-run", status=1)
        assert "would fail now: no answer" in said
        assert len(said.splitlines()) == 1
        assert dump() == before


def test_event_types_are_rehearsed_without_being_forgotten(
    session: Session, calendly_wire: fakes.Calendly
) -> None:
    """What is no booking's is undone as well."""
    sample = published("calendly/event_type.created.json")
    builder = make_builder(session, calendly_user_uri=sample["payload"]["profile"]["owner"])
    sample["payload"]["uri"] = event_type_uri("NEW")
    found = rehearse(session, keep(session, Provider.CALENDLY, json.dumps(sample).encode()))
    assert found.outcome is DeliveryOutcome.EVENT_TYPES_INVALIDATED
    session.refresh(session.merge(builder))
    assert builder.catalog_version == 0
