"""Which mails a booking causes, what they say, and that each comes once."""

from __future__ import annotations

import json
from datetime import datetime, timedelta
from itertools import permutations

import pytest
import sqlalchemy as sa
from icalendar import Calendar
from sqlalchemy.orm import Session

from bookingapp.bookings import mail_triggers
from bookingapp.bookings import service as bookings
from bookingapp.bookings.codes import CauseCode
from bookingapp.bookings.models import Actor, Booking
from bookingapp.bookings.service import Cause
from bookingapp.bookings.slot import SlotFacts, record_slot
from bookingapp.bookings.states import Event
from bookingapp.builders.models import Builder
from bookingapp.checkout import cancellation
from bookingapp.checkout.incoming_payments import apply_checkout
from bookingapp.checkout.pay import record_return_from_stripe
from bookingapp.core.db import transaction
from bookingapp.core.queue import Job
from bookingapp.integrations.stripe_gateway import read_checkout_session
from bookingapp.payments import service as payments
from bookingapp.payments.models import PaymentState, Refund
from tests.factories import (
    END,
    HOLD,
    NOW,
    PAID,
    PENDING,
    START,
    WEBHOOK,
    facts,
    make_booking,
    make_session_type,
    published,
    reread,
    schedule,
)
from tests.mailbox import Mailbox, html, text, work
from tests.notifications.conftest import BUILDER, CLIENT, confirmed, pay, scheduled

pytestmark = pytest.mark.any_database

BY_CLIENT = Cause(Actor.CLIENT, CauseCode.CANCELED_ON_PAGE)
MINUTE = timedelta(minutes=1)
HOME = "http://127.0.0.1:8000"
TOO_LATE = "no refund."


def cancel(session: Session, booking: Booking, *, now: datetime) -> None:
    """The client cancels on our page."""
    cancellation.cancel_booking(session, booking.id, cause=BY_CLIENT, by_builder=False, now=now)


def expire(session: Session, booking: Booking, *, now: datetime) -> None:
    """The hold ends."""
    with transaction(session):
        locked = bookings.lock_booking(session, booking.id)
        bookings.transition(session, locked, Event.EXPIRE, WEBHOOK, now=now)


def report(session: Session, booking: Booking, slot: SlotFacts) -> None:
    """Calendly reports a time."""
    with transaction(session):
        locked = bookings.lock_booking(session, booking.id)
        record_slot(session, locked, slot, WEBHOOK, hold=HOLD, now=NOW)


def cancel_in_calendly(session: Session, booking: Booking, *, now: datetime, by_host: bool) -> None:
    """Calendly reports a cancellation."""
    with transaction(session):
        locked = bookings.lock_booking(session, booking.id)
        cancellation.record_calendly_cancellation(
            session, locked, locked.invitee_uri or "", WEBHOOK, by_host=by_host, at=now, now=now
        )
    session.expunge_all()


def post(session: Session, *, now: datetime) -> None:
    """Send the mails that are due, without the calls of providers."""
    with transaction(session):
        session.execute(sa.delete(Job).where(Job.name != mail_triggers.SEND_MAIL_JOB))
    work(session, now=now)


def test_the_builder_reads_the_answers(session: Session, mailbox: Mailbox, ada: Builder) -> None:
    """In one line each, so that none looks like another fact of ours; the client's mail does without."""
    answers = [{"question": "What do you build?", "answer": "A shop\nPrice: £0.00"}]
    booking = confirmed(session, ada)
    with transaction(session):
        session.execute(sa.update(Booking).where(Booking.id == booking.id).values(answers=answers))
    post(session, now=NOW)
    builder = mailbox.one(BUILDER)
    plain = builder.get_body(("plain",))
    assert plain is not None
    assert "What do you build?: A shop Price: £0.00" in plain.get_content().splitlines()
    assert "What do you build?" in html(builder)
    assert "What do you build?" not in text(mailbox.one(CLIENT))


def test_a_confirmed_booking_is_mailed_to_both(session: Session, mailbox: Mailbox, ada: Builder) -> None:
    """Each in their own zone with its name, with the page that is theirs; the client gets the calendar file."""
    booking = confirmed(session, ada)
    post(session, now=NOW)
    assert len(mailbox.all()) == 2
    client, builder = mailbox.one(CLIENT), mailbox.one(BUILDER)

    assert client["Subject"] == "You are booked: 60 Minute Consultation with Ada Okonkwo"
    assert client["To"] == "Grace Hall <grace@example.org>"
    assert client["From"] == "Builder Hours <no-reply@localhost>"
    assert client["Auto-Submitted"] == "auto-generated"
    said = text(client)
    assert "Tuesday 1 December 2026, 15:00-16:00 CET (Berlin time)" in said
    assert "For Ada Okonkwo: Tuesday 1 December 2026, 14:00-15:00 GMT (London time)" in said
    assert "£60.00, paid" in said
    assert f"{HOME}/bookings/{booking.ref}" in said
    assert f'href="{HOME}/bookings/{booking.ref}"' in html(client)
    assert "15:00-16:00 CET (Berlin time)" in html(client)

    assert builder["Subject"] == "New booking: 60 Minute Consultation, Tuesday 1 December 2026, 14:00 GMT"
    said = text(builder)
    assert "When: Tuesday 1 December 2026, 14:00-15:00 GMT (London time)" in said
    assert "Grace Hall, grace@example.org" in said
    assert f"{HOME}/dashboard/bookings/{booking.tracking_id}" in said
    assert f"{HOME}/bookings/" not in said
    assert not list(builder.iter_attachments())

    (attached,) = client.iter_attachments()
    assert (attached.get_content_type(), attached.get_filename()) == ("text/calendar", "session.ics")
    invitations = [part for part in client.walk() if part.get_content_type() == "text/calendar"]
    assert len(invitations) == 2, "beside the text, and as an attachment"
    for part in invitations:
        assert part.get_param("method") == "REQUEST"
        calendar = Calendar.from_ical(part.get_content())
        (event,) = calendar.walk("VEVENT")
        assert str(calendar["method"]) == "REQUEST"
        assert (event.decoded("dtstart"), event.decoded("dtend")) == (START, END)
        assert str(event["uid"]).startswith(booking.tracking_id), "the page's download replaces it"
        # An answer goes to a person, as an answer to the mail does.
        assert (str(event["organizer"]), str(event["attendee"])) == (f"mailto:{BUILDER}", f"mailto:{CLIENT}")
        assert BUILDER in client["Reply-To"]


def test_the_calendar_entry_follows_each_mail(session: Session, mailbox: Mailbox, ada: Builder) -> None:
    """One UID; the new time has a higher SEQUENCE, and the cancellation the highest one."""
    booking = confirmed(session, ada)
    post(session, now=NOW)
    later = timedelta(days=1)
    report(
        session,
        booking,
        facts(
            booking,
            replaces=reread(session, booking).invitee_uri,
            since=NOW + MINUTE,
            starts_at=START + later,
            ends_at=END + later,
        ),
    )
    post(session, now=NOW + MINUTE)
    cancel(session, booking, now=NOW + 2 * MINUTE)
    post(session, now=NOW + 2 * MINUTE)
    seen: list[tuple[str, ...]] = []
    for mail in mailbox.to(CLIENT):
        (attached,) = mail.iter_attachments()
        calendar = Calendar.from_ical(attached.get_content())
        (event,) = calendar.walk("VEVENT")
        fields = (event[name].to_ical() for name in ("uid", "sequence", "last-modified"))
        seen.append((str(calendar["method"]), *map(str, fields)))
    assert [method for method, *_ in seen] == ["REQUEST", "REQUEST", "CANCEL"]
    assert len({uid for _, uid, *_ in seen}) == 1
    numbers, moments = ([one[at] for one in seen] for at in (2, 3))
    assert numbers == sorted(set(numbers))
    assert moments == sorted(moments)


ORDERS = sorted(set(permutations(("slot", "slot", "payment", "payment", "return"))))


@pytest.mark.parametrize("order", ORDERS[::6])
def test_once_whatever_the_order(
    session: Session, mailbox: Mailbox, ada: Builder, order: tuple[str, ...]
) -> None:
    """Reported by webhook, browser and reconciliation, some of it twice, and the worker runs in between."""
    booking = make_booking(session, builder=ada)
    slot = facts(booking)
    paid = False
    for what in order:
        if what == "slot":
            report(session, booking, slot)
        elif what == "return":
            record_return_from_stripe(session, ref=booking.ref, now=NOW)
        elif paid:
            with transaction(session):
                bookings.record_payment(session, bookings.lock_booking(session, booking.id), PAID, now=NOW)
        else:
            pay(session, booking)
            paid = True
        post(session, now=NOW)
    post(session, now=NOW + HOLD)
    assert reread(session, booking).status.value == "confirmed"
    assert [len(mailbox.to(address)) for address in (CLIENT, BUILDER)] == [1, 1]
    sent = session.scalars(sa.select(Job).where(Job.key.startswith("mail:confirmed"))).all()
    assert [(job.attempts, job.state.value) for job in sent] == [(1, "done")] * 2


def test_the_mails_of_a_free_session_do_not_ask_for_money(
    session: Session, mailbox: Mailbox, ada: Builder
) -> None:
    scheduled(session, ada, price_minor=0)
    post(session, now=NOW + HOLD)
    assert len(mailbox.all()) == 2
    assert "Price: Free" in text(mailbox.one(CLIENT))


def test_a_time_that_is_not_paid_is_reminded_of_once(
    session: Session, mailbox: Mailbox, ada: Builder
) -> None:
    """Ten minutes after it was taken, with the end of the hold and the page to finish on."""
    booking = scheduled(session, ada)
    post(session, now=NOW + 9 * MINUTE)
    assert mailbox.all() == []
    post(session, now=NOW + 10 * MINUTE)
    post(session, now=NOW + 20 * MINUTE)
    reminder = mailbox.one(CLIENT)
    assert reminder["Subject"].startswith("Your time is held until 11:30 CET")
    assert "We are holding your time until 11:30 CET (Berlin time)" in text(reminder)
    assert "paying £60.00" in text(reminder)
    assert f"{HOME}/bookings/{booking.ref}" in text(reminder)


@pytest.mark.parametrize("why", ["paid", "processing", "back from Stripe", "expired", "paid in Calendly"])
def test_no_reminder_without_need(session: Session, mailbox: Mailbox, ada: Builder, why: str) -> None:
    """The client has paid, or the payment is on its way, or the hold is over."""
    booking = scheduled(session, ada)
    if why == "paid":
        pay(session, booking)
    elif why == "expired":
        with transaction(session):
            bookings.lock_booking(session, booking.id).hold_expires_at = NOW + MINUTE
    elif why == "paid in Calendly":
        with transaction(session):
            bookings.lock_booking(session, booking.id).paid_in_calendly = True
    else:
        with transaction(session):
            payment = payments.start_attempt(session, bookings.lock_booking(session, booking.id), now=NOW)
            payment.checkout_session_id = "cs_test_1"
            payment.state = PaymentState.PROCESSING if why == "processing" else PaymentState.OPEN
        record_return_from_stripe(session, ref=booking.ref, now=NOW)
    with transaction(session):
        session.execute(
            sa.update(Job).where(Job.name != mail_triggers.SEND_MAIL_JOB).values(run_at=NOW + HOLD)
        )
    work(session, now=NOW + 10 * MINUTE)
    assert not [one for one in mailbox.subjects() if one.startswith("Your time is held")]
    reminder = session.scalars(sa.select(Job).where(Job.key == f"mail:pay-reminder:{booking.id}")).one()
    assert reminder.state.value == "done"


@pytest.mark.once_on_postgresql
@pytest.mark.parametrize(
    ("hours", "by_builder", "client_reads", "builder_reads"),
    [
        (48, False, "refunding £99.99 the way you paid", "refunding £99.99 to Grace Hall"),
        (13, False, "refunding £50.00 the way you paid", "refunding £50.00 to Grace Hall"),
        (2, False, f"there is {TOO_LATE}", f"gives Grace Hall {TOO_LATE}"),
        (1, True, "refunding £99.99 the way you paid", "refunding £99.99 to Grace Hall"),
    ],
)
def test_a_cancellation_says_the_exact_refund(
    session: Session,
    mailbox: Mailbox,
    ada: Builder,
    *,
    hours: int,
    by_builder: bool,
    client_reads: str,
    builder_reads: str,
) -> None:
    """By the policy of the booking; the builder's own cancellation comes with an apology."""
    booking = confirmed(session, ada, price_minor=9999)
    post(session, now=NOW)
    for _ in range(2):
        now = START - timedelta(hours=hours)
        cancel_in_calendly(session, booking, now=now, by_host=by_builder)
    post(session, now=START)
    client, builder = mailbox.one(CLIENT, "Canceled"), mailbox.one(BUILDER, "Canceled")
    assert client_reads in text(client)
    assert builder_reads in text(builder)
    assert ("We're sorry" in text(client)) is by_builder
    refund = session.scalar(sa.select(Refund).where(Refund.booking_id == booking.id))
    assert (f"£{refund.amount_minor / 100:.2f}" in text(client)) if refund else ("£" not in text(client))


def test_a_cancellation_before_any_money(session: Session, mailbox: Mailbox, ada: Builder) -> None:
    booking = scheduled(session, ada)
    cancel(session, booking, now=NOW + MINUTE)
    post(session, now=NOW + HOLD)
    assert "Nothing was charged." in text(mailbox.one(CLIENT))
    assert "Nothing was charged." in text(mailbox.one(BUILDER))


def test_a_cancellation_of_what_was_paid_in_calendly(
    session: Session, mailbox: Mailbox, ada: Builder
) -> None:
    """No mail says that nothing was charged, or that we refund it."""
    booking = scheduled(session, ada, paid_in_calendly=True)
    cancel_in_calendly(session, booking, now=NOW + MINUTE, by_host=True)
    post(session, now=NOW + HOLD)
    assert "only Ada Okonkwo can refund you, there" in text(mailbox.one(CLIENT))
    assert "Grace Hall had paid in Calendly" in text(mailbox.one(BUILDER))


def test_a_hold_that_ends(session: Session, mailbox: Mailbox, ada: Builder) -> None:
    """To the client alone: nothing was charged, and the way back."""
    booking = scheduled(session, ada)
    expire(session, booking, now=NOW + HOLD)
    post(session, now=NOW + HOLD)
    (mail,) = mailbox.all()
    assert str(mail["To"]).endswith(f"<{CLIENT}>")
    assert "Nothing was charged." in text(mail)
    assert f"{HOME}/bookings/{booking.ref}/again" in text(mail)


@pytest.mark.parametrize("end", ["cancel", "expire"])
def test_a_booking_without_time_and_money_causes_no_mail(
    session: Session, mailbox: Mailbox, ada: Builder, end: str
) -> None:
    """Anybody can type a stranger's address into the form; that must not make us write to them."""
    booking = make_booking(session, builder=ada)
    (cancel if end == "cancel" else expire)(session, booking, now=NOW + PENDING)
    post(session, now=NOW + PENDING)
    assert reread(session, booking).status.is_final
    assert mailbox.all() == []


def test_a_new_time_is_mailed_to_both(session: Session, mailbox: Mailbox, ada: Builder) -> None:
    """Each move once, unless another move has overtaken it."""
    booking = confirmed(session, ada)
    post(session, now=NOW)
    old = reread(session, booking).invitee_uri
    for days in (1, 2):
        at = timedelta(days=days)
        slot = facts(booking, replaces=old, since=NOW + at, starts_at=START + at, ends_at=END + at)
        for _ in range(2):
            report(session, booking, slot)
        old = slot.invitee_uri
    post(session, now=NOW)
    assert "Thursday 3 December 2026, 15:00-16:00 CET" in text(mailbox.one(CLIENT, "New time"))
    assert "Thursday 3 December 2026, 14:00-15:00 GMT" in text(mailbox.one(BUILDER, "New time"))
    assert "Before: Wednesday 2 December 2026, 15:00 CET" in text(mailbox.one(CLIENT, "New time"))
    assert "Before: Wednesday 2 December 2026, 14:00 GMT" in text(mailbox.one(BUILDER, "New time"))
    assert f"{HOME}/bookings/{booking.ref}" in text(mailbox.one(CLIENT, "New time"))
    slot = facts(booking, replaces=old, since=NOW + timedelta(days=3), starts_at=START, ends_at=END)
    report(session, booking, slot)
    post(session, now=NOW)
    assert len([one for one in mailbox.subjects() if one.startswith("New time")]) == 4


def test_what_is_not_true_any_more_is_not_said(session: Session, mailbox: Mailbox, ada: Builder) -> None:
    """Canceled before the worker ran: only the cancellation is mailed."""
    booking = confirmed(session, ada)
    cancel(session, booking, now=NOW)
    post(session, now=NOW)
    assert [one.split(":")[0] for one in mailbox.subjects()] == ["Canceled", "Canceled"]


def test_a_change_that_is_rolled_back_is_not_mailed(session: Session, mailbox: Mailbox, ada: Builder) -> None:
    """The mail is enqueued in the transaction that decides."""
    booking = make_booking(session, builder=ada, price_minor=0)
    with pytest.raises(ZeroDivisionError), transaction(session):  # noqa: PT012
        locked = bookings.lock_booking(session, booking.id)
        record_slot(session, locked, facts(booking), WEBHOOK, hold=HOLD, now=NOW)
        _ = 1 / 0
    post(session, now=NOW)
    assert mailbox.all() == []


def test_rows_carry_ids_and_logs_carry_nothing_personal(
    session: Session, mailbox: Mailbox, ada: Builder, caplog: pytest.LogCaptureFixture
) -> None:
    """Names and addresses are read when a mail is sent."""
    booking = confirmed(session, ada)
    rows = session.scalars(sa.select(Job).where(Job.name == mail_triggers.SEND_MAIL_JOB)).all()
    assert len(rows) == 3
    kept = json.dumps([[row.key, row.args] for row in rows])
    session.rollback()
    post(session, now=NOW)
    assert len(mailbox.all()) == 2
    logged = caplog.text
    assert "mail_sent" in logged
    for word in ("Grace", "grace@", "ada@", "Okonkwo", booking.ref):
        assert word not in kept
        assert word not in logged


def test_a_title_from_outside_stays_in_its_line(session: Session, mailbox: Mailbox, ada: Builder) -> None:
    """Calendly's titles are free text: no header of ours is made from them, no markup either."""
    kind = make_session_type(session, ada, price_minor=0)
    title = "Hello\r\nBcc: eve@example.net <b>you</b>"
    scheduled(session, ada, session_type=kind, title=title)
    post(session, now=NOW)
    mail = mailbox.one(CLIENT)
    assert mail["Bcc"] is None
    assert mail["Subject"] == "You are booked: Hello Bcc: eve@example.net <b>you</b> with Ada Okonkwo"
    assert "<b>you" not in html(mail)


@pytest.mark.parametrize("after", ["canceled", "paid already"])
def test_the_mail_about_a_payment_that_is_refunded(
    session: Session, mailbox: Mailbox, ada: Builder, after: str
) -> None:
    """Once for each payment, with its amount."""
    booking = scheduled(session, ada)
    with transaction(session):
        locked = bookings.lock_booking(session, booking.id)
        payments.start_attempt(session, locked, now=NOW).checkout_session_id = "cs_test_late"
        if after == "canceled":
            bookings.transition(session, locked, Event.CANCEL, WEBHOOK, now=NOW + HOLD)
        else:
            bookings.record_payment(session, locked, PAID, now=NOW)
    paid = published("stripe/checkout_session.paid.json")
    paid.update(id="cs_test_late", amount_total=6000, currency="gbp", client_reference_id=booking.tracking_id)
    paid["metadata"] = {"booking": booking.tracking_id, "attempt": "1"}
    for _ in range(2):
        apply_checkout(session, read_checkout_session(paid), PAID, now=NOW + HOLD)
    post(session, now=NOW + HOLD)
    mail = mailbox.one(CLIENT, "We are refunding £60.00 to you")
    reason = "after this booking had ended" if after == "canceled" else "paid already"
    assert reason in text(mail)


def test_an_address_beyond_ascii(session: Session, mailbox: Mailbox, ada: Builder) -> None:
    """Its domain is written as the DNS knows it; a name before the @ stays as it is."""
    for address, written in (
        ("zoë@bücher.example", "zoë@bücher.example"),
        ("zoe@bücher.example", "zoe@xn--bcher-kva.example"),
    ):
        booking = make_booking(session, builder=ada, price_minor=0, client_email=address)
        schedule(session, booking)
        post(session, now=NOW)
        assert len(mailbox.to(written)) == 1
