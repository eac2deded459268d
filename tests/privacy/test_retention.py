"""What is old goes by itself, in batches; settings say when."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import pytest
import sqlalchemy as sa
from flask import Flask
from sqlalchemy.orm import Session

from bookingapp.accounts.codes import LinkPurpose, SecurityCode
from bookingapp.accounts.links import create_link
from bookingapp.accounts.log_ins import add_log_in
from bookingapp.accounts.models import AccountLink, LogIn, SecurityEvent
from bookingapp.accounts.origins import Origin
from bookingapp.bookings.models import Actor, Booking, HistoryEntry
from bookingapp.bookings.states import Status
from bookingapp.clients.models import SignIn
from bookingapp.core import services
from bookingapp.core.db import Base, end_read, transaction
from bookingapp.core.jobs import REGISTRY, Collaborators
from bookingapp.core.queue import Job, WorkState
from bookingapp.core.settings import Settings
from bookingapp.payments.models import (
    EntryKind,
    LedgerEntry,
    Payment,
    PaymentState,
    Refund,
    RefundReason,
    RefundState,
)
from bookingapp.privacy import retention
from bookingapp.privacy.models import ErasureRequest
from bookingapp.privacy.retention import RETENTION_JOB, delete_old_data
from bookingapp.webhooks.models import InboxEvent
from tests.factories import NOW, inbox_row, make_account, make_booking, make_builder

Run = Callable[..., dict[str, int]]
YEAR, SECOND = timedelta(days=365), timedelta(seconds=1)


@pytest.fixture
def run(session: Session) -> Run:
    """Runs the job at that time; how many rows of each kind it deleted."""

    def do(at: datetime = NOW) -> dict[str, int]:
        counts = delete_old_data(session, services.get(Settings), now=at)
        return {name: number for name, number in counts.items() if number}

    return do


def ended(session: Session, at: datetime, status: Status = Status.COMPLETED, **how: Any) -> Booking:
    """A booking whose status changed last then."""
    booking = make_booking(session, now=at - timedelta(days=7), **how)
    with transaction(session):
        session.execute(
            sa.update(Booking).where(Booking.id == booking.id).values(status=status, updated_at=at)
        )
    return booking


def charge(session: Session, booking: Booking, at: datetime, state: RefundState | None = None) -> None:
    """A payment of that moment, and a refund of it."""
    values = {"booking_id": booking.id, "amount_minor": 6000, "currency": "GBP"}
    with transaction(session):
        payment = Payment(
            attempt=1,
            state=PaymentState.PAID,
            payment_intent_id=f"pi_{booking.id}",
            checkout_url="https://checkout.stripe.com/x",
            expires_at=at,
            created_at=at,
            updated_at=at,
            **values,
        )
        session.add(payment)
        session.flush()
        session.add(
            LedgerEntry(
                payment_id=payment.id, kind=EntryKind.CHARGE, stripe_id=f"pi_{booking.id}", at=at, **values
            )
        )
        if state is not None:
            session.add(
                Refund(
                    payment_id=payment.id,
                    token=f"t{booking.id}",
                    state=state,
                    reason=RefundReason.COURTESY,
                    created_at=at,
                    updated_at=at,
                    **values,
                )
            )


def names(session: Session) -> list[str]:
    found = list(session.scalars(sa.select(Booking.client_name).order_by(Booking.id)))
    end_read(session)
    return found


@pytest.mark.any_database
def test_a_booking_a_year_after_its_end(session: Session, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whichever way it ended; not a day before, and not while money is on its way. In batches, none of which is found
    twice.
    """
    monkeypatch.setattr(retention, "BOOKINGS", 2)
    old, young = NOW - YEAR - SECOND, NOW - YEAR + SECOND
    waiting = ended(session, old - timedelta(days=1))
    charge(session, waiting, old, RefundState.PENDING)
    for status in (Status.COMPLETED, Status.CANCELED, Status.EXPIRED):
        ended(session, old, status)
    ended(session, young)
    make_booking(session, now=old)
    assert run() == {"bookings_erased": 3}
    assert names(session) == [
        "Grace Hall",
        "\N{EM DASH}",
        "\N{EM DASH}",
        "\N{EM DASH}",
        "Grace Hall",
        "Grace Hall",
    ]
    last = session.scalars(sa.select(HistoryEntry).order_by(HistoryEntry.id.desc()).limit(1)).one()
    assert (last.cause, last.actor) == ("data_erased", Actor.SYSTEM)
    end_read(session)
    assert run() == {}


@pytest.mark.any_database
def test_a_payment_after_seven_years(session: Session, run: Run) -> None:
    """With its booking and everything that belongs to it; a refund that was made later keeps both."""
    old = NOW - timedelta(days=2556)
    first, second = ended(session, old), ended(session, old)
    charge(session, first, old, RefundState.SUCCEEDED)
    charge(session, second, NOW - YEAR)
    with transaction(session):
        session.add(InboxEvent(**inbox_row("of it", booking_id=first.id, state=WorkState.DONE)))
    assert run() == {"bookings_erased": 2, "bookings_deleted": 1}
    assert list(session.scalars(sa.select(Booking.id))) == [second.id]
    for table in Base.metadata.sorted_tables:
        if "booking_id" in table.c:
            assert set(session.scalars(sa.select(table.c.booking_id))) <= {second.id, None}, table.name
    payment = session.scalars(sa.select(Payment)).one()
    assert (payment.payment_intent_id, payment.checkout_url) == (f"pi_{second.id}", None)


@pytest.mark.any_database
def test_everything_else(session: Session, run: Run) -> None:
    """Log-ins, events, links, sign-ins, jobs without a booking, digests of who booked, bodies of deliveries."""
    account = make_account(session)
    booking = make_booking(session, builder=make_builder(session))
    ages = {
        LogIn: 365,
        SecurityEvent: 365,
        AccountLink: 30,
        SignIn: 2,
        Job: 90,
        InboxEvent: 90,
        ErasureRequest: 90,
    }
    headers = {"User-Agent": "Stripe"}
    with transaction(session):
        session.execute(sa.delete(Job))
        for number, beyond in enumerate((SECOND, -SECOND)):
            at = {model: NOW - timedelta(days=days) - beyond for model, days in ages.items()}
            add_log_in(session, account, Origin(), now=at[LogIn])
            event = {"code": SecurityCode.LOG_IN_FAILED, "network": "", "user_agent": ""}
            session.add(SecurityEvent(at=at[SecurityEvent], account_id=None, **event))
            create_link(
                session,
                LinkPurpose.RESET_PASSWORD,
                email=f"{number}@example.org",
                valid_for=timedelta(0),
                now=at[AccountLink],
            )
            session.add(SignIn(email="a@example.org", link_token=str(number), created_at=at[SignIn]))
            for about, state in (
                (None, WorkState.DONE),
                (booking.id, WorkState.DONE),
                (None, WorkState.DEAD),
            ):
                job = {"name": "mail", "args": {}, "run_at": NOW, "key": f"{number}{about}{state}"}
                times = {"created_at": at[Job], "finished_at": at[Job]}
                session.add(Job(booking_id=about, state=state, **times, **job))
            for state in (WorkState.DONE, WorkState.DEAD, WorkState.FAILED):
                row = inbox_row(f"{number}{state}", received_at=at[InboxEvent], state=state, headers=headers)
                session.add(InboxEvent(**row))
            session.add(ErasureRequest(asked_at=NOW, ended_at=at[ErasureRequest]))
        began = session.scalars(sa.select(HistoryEntry)).one()
        began.cause_facts, began.at = {"address": "a", "browser": "b"}, NOW - timedelta(days=31)
    assert run() == {
        "log_ins": 1,
        "security_events": 1,
        "account_links": 1,
        "sign_ins": 1,
        "jobs": 1,
        "digests": 1,
        "bodies": 2,
        "erasure_requests": 1,
    }
    kept = session.execute(
        sa.select(InboxEvent.event_key, InboxEvent.headers).where(InboxEvent.body.is_not(None))
    )
    assert sorted(row.event_key for row in kept if row.headers == headers) == [
        "0failed",
        "1dead",
        "1done",
        "1failed",
    ]
    assert session.scalars(sa.select(HistoryEntry.cause_facts)).one() == {}
    assert session.scalar(sa.select(sa.func.count()).select_from(Job)) == 5
    end_read(session)
    assert run() == {}


def test_the_settings_say_when(session: Session, app: Flask) -> None:
    """And a run enqueues the next one first."""
    booking = ended(session, NOW - timedelta(days=31))
    short = services.get(Settings).model_copy(update={"retention_bookings_days": 30})
    with transaction(session):
        session.execute(sa.delete(Job))
    REGISTRY[RETENTION_JOB].run(session, Collaborators({Settings: short}), {}, now=NOW)
    assert session.get_one(Booking, booking.id).erased_at == NOW
    assert session.scalars(sa.select(Job.name)).all() == [RETENTION_JOB]


def test_an_erasure_that_calendly_never_accepts_becomes_a_to_do(session: Session, run: Run) -> None:
    """After a month, and the address goes."""
    booking = ended(session, NOW)
    with transaction(session):
        old = NOW - timedelta(days=31)
        session.add(ErasureRequest(booking_id=booking.id, address="grace@example.org", asked_at=old))
    assert run() == {"erasures": 1}
    assert session.scalars(sa.select(ErasureRequest.address)).one() is None
    assert session.get_one(Booking, booking.id).attention == "erase_in_calendly"
