"""Calendly itself has charged for a session: the client does not pay twice, and the builder is warned (scenario 48)."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from bookingapp import worker
from bookingapp.bookings.codes import FlagCode
from bookingapp.bookings.mail_triggers import SEND_MAIL_JOB
from bookingapp.bookings.models import Booking
from bookingapp.bookings.reminders import REMIND_JOB, Step, enqueue_reminder
from bookingapp.bookings.service import COMPLETE_JOB
from bookingapp.checkout.unknown_sessions import RECONCILE_JOB
from bookingapp.core import services
from bookingapp.core.clock import utcnow
from bookingapp.core.db import transaction
from bookingapp.core.queue import Job, enqueue
from bookingapp.core.settings import Settings
from bookingapp.dashboard.words.bookings import FLAGS
from tests.live import FREE, HOUR, Live
from tests.mailbox import Mailbox, text

PAYMENT: dict[str, Any] = {
    "external_id": "ch_of_calendly",
    "provider": "stripe",
    "amount": 60.0,
    "currency": "GBP",
    "terms": "",
    "successful": True,
}
ONLY_THERE = "You paid in Calendly, so only Ada can refund you, there."


def outbox(live: Live) -> Mailbox:
    with live.app.app_context():
        return Mailbox(services.get(Settings).instance_dir / "outbox")


def sessions(live: Live) -> list[object]:
    found: list[object] = live.state()["sessions"]
    return found


@pytest.mark.any_database
def test_the_client_does_not_pay_twice(live: Live) -> None:
    """Scenario 48: paying is refused with a sentence, no Checkout Session is made, and the builder sees why."""
    live.builder()
    browser, ref = live.scheduled(payment=PAYMENT)
    booking = live.booking(ref)
    assert booking.status == "scheduled"
    assert booking.attention == FlagCode.PAID_IN_CALENDLY
    page = browser.page(f"/bookings/{ref}")
    assert not page.select("#pay-button")
    assert "You have paid in Calendly" in page.words
    assert "Pay £60.00" not in page.words
    assert page.one("[data-attention]")["data-attention"] == FlagCode.PAID_IN_CALENDLY
    refused = browser.submit(f"/bookings/{ref}/pay")
    assert refused.status_code == 409
    assert "You have already paid for this session in Calendly." in refused.text
    assert sessions(live) == []
    dashboard = live.browser("ada").page("/dashboard")
    assert (
        str(FLAGS[FlagCode.PAID_IN_CALENDLY])
        in dashboard.one("section[aria-labelledby=attention-title]").text
    )
    assert (
        "You paid in Calendly, so only your builder can refund you, there."
        in browser.page(f"/bookings/{ref}/cancel").words
    )


def test_the_time_is_kept(live: Live) -> None:
    """The hold of a client who has paid does not expire, and no mail reminds them of paying, only of the session."""
    live.builder()
    _, ref = live.scheduled(payment=PAYMENT)
    with live.database() as session, transaction(session):
        for job in session.query(Job):
            job.run_at = utcnow() - timedelta(seconds=1)
    worker.run_due(live.app)
    booking = live.booking(ref)
    assert (booking.status, booking.slot, booking.hold_expires_at) == ("scheduled", "active", None)
    assert "pay-reminder" in [job.args["mail"] for job in live.jobs(SEND_MAIL_JOB)]
    assert [subject for subject in outbox(live).subjects() if "held" in subject] == []


def test_the_client_is_booked_like_any_other(live: Live) -> None:
    """Nothing is awaited or left to pay: the way to the session, its calendar file and reminders."""
    live.builder()
    browser, ref = live.scheduled(payment=PAYMENT)
    page = browser.page(f"/bookings/{ref}")
    assert len(page.select(".steps__item--done")) == 4
    assert page.one("#call-link")["href"] == live.booking(ref).join_url
    assert not page.select("#refresh-link")
    assert ONLY_THERE in page.one("section[aria-labelledby=policy-title]").text
    assert page.one("#booking-status .disc")["class"] == ["disc", "tone-ok"]
    file = browser.get(page.one("#calendar-link")["href"])
    assert "STATUS:CONFIRMED" in file.text
    assert [job.args["step"] for job in live.jobs(REMIND_JOB)] == ["day"]
    with live.database() as session, transaction(session):
        row = session.query(Booking).filter_by(ref=ref).one()
        row.starts_at, row.ends_at = utcnow() + timedelta(hours=20), utcnow() + timedelta(hours=21)
        session.query(Job).delete()
        enqueue_reminder(session, row, Step.DAY, run_at=utcnow(), now=utcnow())
    worker.run_due(live.app)
    (mine, theirs) = sorted(outbox(live).all(), key=lambda mail: "ada@" in str(mail["To"]))
    assert ONLY_THERE in text(mine)
    assert ONLY_THERE not in text(theirs)


def test_everybody_reads_where_it_was_paid(live: Live) -> None:
    """Client, builder and the builder's file, before and after the session; no page says "no payment"."""
    live.builder()
    browser, ref = live.scheduled(payment=PAYMENT)
    name = live.booking(ref).tracking_id
    for status in ("scheduled", "completed"):
        builder = live.browser("ada")
        pages = [
            browser.page(f"/bookings/{ref}"),
            builder.page("/dashboard/bookings?sort=newest"),
            builder.page(f"/dashboard/bookings/{name}"),
        ]
        for page in pages:
            badges = [badge.text for badge in page.select(".badge")]
            assert "Paid in Calendly" in badges, badges
            assert "No payment" not in badges
        assert ",Paid in Calendly,60.00,GBP," in builder.get("/dashboard/bookings.csv?sort=newest").text
        if status == "scheduled":
            end(live, ref)
            worker.run_due(live.app)
    page = browser.page(f"/bookings/{ref}")
    assert live.booking(ref).status == "completed"
    assert page.one("#booking-status .disc")["class"] == ["disc", "tone-ok"]
    assert not page.select("#booking-status .notice")


def test_a_move_asks_for_no_payment(live: Live) -> None:
    live.builder()
    browser, ref = live.scheduled(payment=PAYMENT)
    with live.database() as session, transaction(session):
        session.query(Booking).filter_by(ref=ref).one().moving_since = utcnow()
    page = browser.page(f"/bookings/{ref}")
    assert "We are waiting for your new time from Calendly." in page.words
    assert "You can pay as soon as it is here" not in page.words


def end(live: Live, ref: str) -> None:
    """Let the session's end pass by our clock."""
    with live.database() as session, transaction(session):
        row = session.query(Booking).filter_by(ref=ref).one()
        row.starts_at, row.ends_at = utcnow() - timedelta(hours=2), utcnow() - timedelta(hours=1)
        session.query(Job).filter_by(name=COMPLETE_JOB).update({"run_at": row.ends_at})


def test_its_session_is_over_like_any_other(live: Live) -> None:
    """So it can be erased, and the next hour booked. Nothing was charged here, and nothing is refunded."""
    live.builder()
    browser, ref = live.scheduled(payment=PAYMENT)
    end(live, ref)
    worker.run_due(live.app)
    assert live.booking(ref).status == "completed"
    page = browser.page(f"/bookings/{ref}")
    assert "This session is over" in page.words
    assert "Book the next hour" in page.words
    assert sessions(live) == []


def test_one_that_was_over_before_they_were_completed(live: Live) -> None:
    """Nothing waits for its end: the hourly reconciliation finds it."""
    live.builder()
    _, ref = live.scheduled(payment=PAYMENT)
    end(live, ref)
    with live.database() as session, transaction(session):
        session.query(Job).filter_by(name=COMPLETE_JOB).delete()
        session.query(Job).filter_by(name=RECONCILE_JOB).update({"run_at": utcnow()})
        if not session.query(Job).filter_by(name=RECONCILE_JOB).count():
            enqueue(session, RECONCILE_JOB, key="reconcile", args={}, run_at=utcnow(), now=utcnow())
    worker.run_due(live.app)
    assert live.booking(ref).status == "completed"


@pytest.mark.parametrize("payment", [None, {**PAYMENT, "successful": False}])
def test_without_a_successful_payment_the_price_is_due_here(live: Live, payment: object) -> None:
    live.builder()
    browser, ref = live.scheduled(payment=payment)
    assert live.booking(ref).attention is None
    assert browser.submit(f"/bookings/{ref}/pay").status_code == 303
    assert len(sessions(live)) == 1


def test_the_browser_reports_it_too(live: Live) -> None:
    """Read back from Calendly, before any webhook."""
    live.builder()
    browser, ref = live.book()
    live.fault("drop", remaining=1)
    made = live.choose(browser, ref, payment=PAYMENT)
    claim = {"event_uri": made["event"], "invitee_uri": made["uri"]}
    assert browser.submit(f"/bookings/{ref}/scheduled", claim).status_code == 303
    assert live.booking(ref).attention == FlagCode.PAID_IN_CALENDLY
    assert browser.submit(f"/bookings/{ref}/pay").status_code == 409


def test_an_open_checkout_page_is_closed(live: Live) -> None:
    """We learn of the payment after the client has begun to pay here: that page ends."""
    live.builder()
    browser, ref = live.book()
    live.fault("drop", remaining=1)
    made = live.choose(browser, ref)
    browser.submit(f"/bookings/{ref}/scheduled", {"event_uri": made["event"], "invitee_uri": made["uri"]})
    assert browser.submit(f"/bookings/{ref}/pay").status_code == 303
    store = live.hands.server.sandbox.store
    invitee = store.get("invitee", made["uri"].rpartition("/")[2])
    assert invitee is not None
    store.put("invitee", invitee["id"], {**invitee, "payment": PAYMENT})
    browser.submit(f"/bookings/{ref}/scheduled", {"event_uri": made["event"], "invitee_uri": made["uri"]})
    live.work()
    (session,) = live.state()["sessions"]
    assert session["status"] == "expired"
    assert live.booking(ref).status == "scheduled"


def test_a_free_session_is_confirmed_and_flagged(live: Live) -> None:
    live.builder(types={FREE: {"price_minor": 0}})
    _, ref = live.scheduled(FREE, payment=PAYMENT)
    booking = live.booking(ref)
    assert (booking.status, booking.attention) == ("confirmed", FlagCode.PAID_IN_CALENDLY)


def test_a_moved_time_stays_paid(live: Live) -> None:
    """A reschedule brings a new invitee, which may say nothing of the payment."""
    live.builder()
    browser, ref = live.book()
    made = live.choose(browser, ref, payment=PAYMENT)
    live.work()
    live.hands.control(f"calendly/invitees/{made['uri'].rpartition('/')[2]}/reschedule", by_host=False)
    live.work()
    booking = live.booking(ref)
    assert booking.invitee_uri != made["uri"]
    assert (booking.status, booking.hold_expires_at) == ("scheduled", None)
    assert browser.submit(f"/bookings/{ref}/pay").status_code == 409
    assert HOUR in booking.event_type_uri
