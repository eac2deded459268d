"""A client has their data as a file, and has it erased: here, and as far as possible elsewhere."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import pytest
import sqlalchemy as sa

from bookingapp.accounts.models import Account
from bookingapp.bookings import notes
from bookingapp.bookings import service as bookings
from bookingapp.bookings.models import Actor, AttentionFlag, Booking, HistoryEntry, UnattachedInvitee
from bookingapp.console.models import ActCode, OperatorAct, SubjectKind
from bookingapp.core.clock import utcnow
from bookingapp.core.db import transaction
from bookingapp.payments.models import Payment
from bookingapp.privacy.models import ErasureRequest, Result
from bookingapp.webhooks.models import InboxEvent, Provider
from tests.factories import inbox_row
from tests.life.road import BUILDER, CLIENT, Road, Trip, name_of
from tests.privacy.conftest import places_of, sign_in

ERASE = "/my-bookings/erase"
ANSWER, PLACE, NOTE = "My cat is called Biscuit", "12 Canary Row", "Grace Hall was late, as ever"
PERSON = (CLIENT, "Grace Hall", "Biscuit", "Canary Row", "as ever")


def completed(road: Road) -> Trip:
    """A session of Grace's that is over: paid, with an answer, a place and notes about her."""
    answers = [{"question": "Anything else?", "answer": ANSWER, "position": 0}]
    trip = road.scheduled(answers=answers, place={"kind": "physical", "location": PLACE})
    trip.pay()
    road.begin_in(trip, -2)
    road.let_pass(f"complete:{trip.row.id}:", ended=trip)
    assert trip.truth == ("completed", "paid")
    with road.live.database() as session, transaction(session):
        booking = bookings.lock_booking(session, trip.row.id)
        notes.add_note(session, booking, NOTE, by=Actor.BUILDER, now=utcnow())
        act = {"act": ActCode.NOTE_ADDED, "subject_kind": SubjectKind.BOOKING, "subject_id": booking.id}
        operator = session.scalars(sa.select(Account.id)).first()
        session.add(OperatorAct(at=utcnow(), operator_id=operator, reason=NOTE, facts={}, **act))
        # What Calendly sends of a time that was booked there directly belongs to no booking, and names her too.
        body = json.dumps({"email": CLIENT.title()}).encode()
        values = inbox_row("direct", provider=Provider.CALENDLY, body=body, state="ignored")
        session.add(InboxEvent(**values))
        session.add(_direct(booking))
    return trip


def _direct(booking: Booking) -> UnattachedInvitee:
    uri = "https://api.calendly.com/scheduled_events/E/invitees/I"
    times = {"starts_at": utcnow(), "ends_at": utcnow(), "found_at": utcnow()}
    of = {"builder_id": booking.builder_id, "session_type_id": booking.session_type_id}
    return UnattachedInvitee(
        event_uri=uri, invitee_uri=uri, title="Hour", name="Grace Hall", email=CLIENT.title(), **times, **of
    )


def everything(road: Road) -> list[str]:
    """Where the database still has something of Grace."""
    with road.live.database() as session:
        return sorted(set(places_of(session, *PERSON)))


def flags(road: Road) -> dict[str, dict[str, Any]]:
    """The open flags, with their facts."""
    with road.live.database() as session:
        rows = session.scalars(sa.select(AttentionFlag).where(AttentionFlag.resolved_at.is_(None)))
        return {row.code: row.facts for row in rows}


@pytest.mark.any_database
def test_scenario_52_a_client_has_their_data_erased(road: Road) -> None:
    """Scenario 52: completed and paid. Nothing of the person is left in any table; the payment's reference and the
    ledger are, and the history says that it was erased. Calendly is asked; Stripe is a to-do. What comes late brings
    nothing back.
    """
    trip = completed(road)
    assert {"bookings.client_name", "bookings.answers", "inbox_events.body", "booking_words.word"} <= set(
        everything(road)
    )
    theirs = road.live.browser("ada").page(trip.dashboard)
    assert theirs.select("form[action$='/no-show']")
    assert "For the client" in theirs.words
    grace = sign_in(road.live, road.mails)
    page = grace.page(ERASE)
    assert "Your name, addresses, answers and place in one booking" in page.words
    assert "because the law asks for them" in page.words
    assert grace.submit(ERASE).status_code == 422
    answer = grace.submit(ERASE, {"sure": "y"})
    assert (answer.status_code, answer.location) == (303, "/my-bookings/erased")
    assert "Your data is erased" in grace.page("/my-bookings/erased").words
    road.live.work()

    assert everything(road) == []
    assert trip.ledger() == [6000]
    with road.live.database() as session:
        payment = session.scalars(sa.select(Payment)).one()
        assert payment.payment_intent_id
        assert (payment.amount_minor, payment.checkout_url) == (6000, None)
        entries = session.scalars(sa.select(HistoryEntry).order_by(HistoryEntry.id.desc()).limit(2)).all()
        assert [(one.cause, one.actor) for one in reversed(entries)] == [
            ("data_erased", "client"),
            ("erasure_sent", "calendly"),
        ]
        requests = session.scalars(sa.select(ErasureRequest).order_by(ErasureRequest.id)).all()
        assert [(one.result, one.address) for one in requests] == [
            (Result.ACCEPTED, None),
            (Result.DONE, None),
        ]
    assert flags(road) == {"erase_in_stripe": {"payments": [payment.payment_intent_id]}}
    invitee = next(one for one in road.live.state()["invitees"] if one["id"] == name_of(trip.invitee["uri"]))
    assert (invitee["email"], invitee["name"], invitee["questions_and_answers"]) == ("", "", [])

    # Whoever has the link reads what became of it; the address has nothing any more.
    gone = trip.browser.get(f"/bookings/{trip.ref}?lang=de")
    assert gone.status_code == 410
    assert trip.row.language == "en"
    gone = trip.browser.get(f"/bookings/{trip.ref}?lang=en")
    assert gone.status_code == 410
    assert "personal data of this booking was erased" in gone.text
    theirs = road.live.browser("ada").page(trip.dashboard)
    assert "Grace" not in theirs.words
    assert "For the client" not in theirs.words
    assert theirs.select("form[action$='/no-show']") == []

    # Deliveries that come late, as if for the first time, and the comparison with both providers.
    with road.live.database() as session, transaction(session):
        late = sa.delete(InboxEvent).where(InboxEvent.booking_id == trip.row.id).returning(InboxEvent.type)
        assert {"invitee.created", "checkout.session.completed"} <= set(session.scalars(late))
    for row in road.live.hands.server.sandbox.store.all("delivery"):
        road.live.hands.control(f"deliveries/{row['id']}/resend")
    road.live.work()
    assert road.live.runner().invoke(args=["bookings", "reconcile"]).exit_code == 0
    assert everything(road) == []
    with road.live.database() as session:
        payment = session.scalars(sa.select(Payment)).one()
        assert (payment.checkout_url, payment.receipt_url, payment.voucher_url) == (None, None, None)
    assert trip.ledger() == [6000]
    assert not sign_in_is_possible(road)


def sign_in_is_possible(road: Road) -> bool:
    """Whether a link is mailed to Grace for another browser."""
    before = len(road.mails.to(CLIENT))
    road.live.browser().submit("/my-bookings", {"email": CLIENT})
    road.live.work()
    return len(road.mails.to(CLIENT)) > before


def test_where_calendly_does_not_let_us_the_builder_is_asked(road: Road) -> None:
    """403 for want of the plan: one flag with the builder, which names the other bookings; the address goes as well."""
    first, second = completed_quickly(road), completed_quickly(road)
    second.change(client_email=CLIENT)
    road.live.hands.control("settings", enterprise=False)
    grace = sign_in(road.live, road.mails)
    assert grace.submit(ERASE, {"sure": "y"}).status_code == 303
    road.live.work()
    assert flags(road)["erase_in_calendly"] == {"bookings": [first.row.tracking_id]}
    with road.live.database() as session:
        assert (
            session.scalars(
                sa.select(ErasureRequest.address).where(ErasureRequest.address.is_not(None))
            ).all()
            == []
        )
    home = road.attention_list()
    assert "Please delete it in Calendly too" in home
    assert first.row.tracking_id in home
    assert "Stripe" not in home
    ada = road.live.browser("ada")
    token = ada.token(second.dashboard)
    assert ada.post(f"{second.dashboard}/seen", data={"csrf_token": token}).status_code == 303
    assert set(flags(road)) == {"erase_in_stripe"}


def completed_quickly(road: Road) -> Trip:
    """A session that is paid and over."""
    trip = road.confirmed()
    trip.change(
        status="completed", starts_at=utcnow() - timedelta(hours=2), ends_at=utcnow() - timedelta(hours=1)
    )
    return trip


def test_while_calendly_is_away_the_job_waits(road: Road) -> None:
    """An outage is no refusal: nobody is asked to do anything yet."""
    trip = completed_quickly(road)
    grace = sign_in(road.live, road.mails)
    road.live.fault("500", path_prefix="/calendly-api")
    assert grace.submit(ERASE, {"sure": "y"}).status_code == 303
    road.live.work()
    assert set(flags(road)) == {"erase_in_stripe"}
    road.calendly_returns()
    road.let_pass("erase:")
    assert [one.cause for one in history(road, trip)][-1] == "erasure_sent"


def history(road: Road, trip: Trip) -> list[HistoryEntry]:
    with road.live.database() as session:
        return list(session.scalars(sa.select(HistoryEntry).where(HistoryEntry.booking_id == trip.row.id)))


def test_what_is_open_is_refused_with_the_way_out(road: Road) -> None:
    """A session ahead has to be canceled first; then its refund has to arrive."""
    trip = road.confirmed()
    grace = sign_in(road.live, road.mails)
    page = grace.page(ERASE)
    assert "This booking is still open. Cancel it first" in page.words
    assert page.select(f"main a[href='/bookings/{trip.ref}']")
    assert not page.select(f"form[action='{ERASE}']")
    assert grace.submit(ERASE, {"sure": "y"}).status_code == 409
    trip.press("cancel")
    assert "A refund for it is on its way" in grace.page(ERASE).words
    assert grace.submit(ERASE, {"sure": "y"}).status_code == 409
    assert trip.row.client_name == "Grace Hall"
    road.live.work()
    assert grace.submit(ERASE, {"sure": "y"}).status_code == 303
    assert trip.row.client_name == "\N{EM DASH}"


def test_money_that_still_has_to_be_sent_keeps_the_address(road: Road) -> None:
    """The bank returned the refund, so that a person has to send it: to somebody who is still known."""
    trip = road.confirmed()
    trip.press("cancel")
    road.live.work()
    (refund,) = road.live.state()["refunds"]
    road.live.hands.control(f"stripe/refunds/{refund['id']}/settle", outcome="failed")
    road.live.work()
    assert "refund_undelivered" in flags(road)
    grace = sign_in(road.live, road.mails)
    assert not grace.page(ERASE).select(f"form[action='{ERASE}']")
    assert grace.submit(ERASE, {"sure": "y"}).status_code == 409
    assert trip.row.client_name == "Grace Hall"
    ada = road.live.browser("ada")
    token = ada.token(trip.dashboard)
    assert ada.post(f"{trip.dashboard}/seen", data={"csrf_token": token}).status_code == 303
    assert grace.submit(ERASE, {"sure": "y"}).status_code == 303
    assert trip.row.client_name == "\N{EM DASH}"


def test_a_builder_who_was_a_client_keeps_what_was_booked_with_them(road: Road) -> None:
    """Calendly's deliveries name the host with each booking."""
    other, mine = completed_quickly(road), completed_quickly(road)
    mine.change(client_email=BUILDER)
    before = bodies(road, other)
    assert any(BUILDER.encode() in body for body in before)
    ada = sign_in(road.live, road.mails, BUILDER)
    assert ada.submit(ERASE, {"sure": "y"}).status_code == 303
    road.live.work()
    assert mine.row.erased_at is not None
    assert bodies(road, other) == before


def bodies(road: Road, trip: Trip) -> list[bytes]:
    """The bodies that are kept of the booking's deliveries."""
    with road.live.database() as session:
        query = sa.select(InboxEvent.body).where(
            InboxEvent.booking_id == trip.row.id, InboxEvent.body.is_not(None)
        )
        return [body for body in session.scalars(query.order_by(InboxEvent.id)) if body is not None]


def test_the_file_has_everything(road: Road) -> None:
    """One JSON file, for the browser in which the address was verified."""
    trip = completed(road)
    path = "/my-bookings/data"
    assert road.live.browser().get(path).location == "/my-bookings"
    grace = sign_in(road.live, road.mails)
    assert grace.page("/my-bookings").select(f"a[href='{path}']")
    answer = grace.get(path)
    assert answer.content_type == "application/json"
    assert answer.headers["Content-Disposition"] == 'attachment; filename="my-data.json"'
    assert answer.headers["Cache-Control"] == "no-store"
    data = json.loads(answer.text)
    (booking,) = data["bookings"]
    assert (data["address"], booking["name"], booking["status"]) == (CLIENT, "Grace Hall", "completed")
    assert [one["answer"] for one in booking["answers"]] == [ANSWER]
    assert booking["place"]["place"] == PLACE
    assert [(one["amount_minor"], one["currency"], one["state"]) for one in booking["payments"]] == [
        (6000, "GBP", "paid")
    ]
    assert {"mail": "confirmed-client", "state": "done"}.items() <= booking["mails"][-1].items()
    assert [one["to"] for one in booking["history"]][:2] == ["pending", "scheduled"]
    assert booking["reference"] == trip.ref
    assert NOTE not in answer.text
    (direct,) = data["booked_in_calendly_directly"]
    assert (direct["title"], direct["name"]) == ("Hour", "Grace Hall")


def test_another_address_beside_ones_own(road: Road) -> None:
    """Of a booking whose address was never settled, only the address that is erased goes: it is not proved whose the
    rest is.
    """
    trip = completed_quickly(road)
    trip.change(client_email="other@example.org", invitee_email=CLIENT)
    mine = completed_quickly(road)
    mine.change(client_email=CLIENT)
    grace = sign_in(road.live, road.mails)
    assert "this address in one booking that belongs to another address" in grace.page(ERASE).words
    assert grace.submit(ERASE, {"sure": "y"}).status_code == 303
    assert (trip.row.client_email, trip.row.invitee_email) == ("other@example.org", None)
    assert trip.row.erased_at is None
    assert mine.row.erased_at is not None
