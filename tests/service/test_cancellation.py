"""Calling a booking off: what goes back is what was said, once, whoever cancels and whatever fails in between.

Stripe and Calendly are the sandbox, over HTTP; our own part is the real services and the real worker.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import requests
import sqlalchemy as sa
from flask import Flask
from sqlalchemy.orm import Session

from bookingapp import worker
from bookingapp.bookings.codes import CauseCode, FlagCode
from bookingapp.bookings.models import Actor, Booking, Slot
from bookingapp.bookings.service import Cause
from bookingapp.bookings.states import Status
from bookingapp.checkout import cancellation, incoming_payments, pay
from bookingapp.core import services
from bookingapp.core.clock import utcnow
from bookingapp.core.db import db, end_read, transaction
from bookingapp.core.errors import Conflict
from bookingapp.integrations.stripe_gateway import StripeGateway
from bookingapp.payments import ledger, refunds
from bookingapp.payments import service as payments
from bookingapp.payments.models import Payment, PaymentState, Refund, RefundState
from bookingapp.sandbox import SandboxConfig, SandboxServer
from tests.conftest import close, make_app, make_settings
from tests.factories import make_booking, make_builder, make_session_type, reread, schedule

BY_CLIENT = Cause(Actor.CLIENT, CauseCode.CANCELED_ON_PAGE)
HOUR = timedelta(hours=1)


@dataclass
class Road:
    """An application whose providers are a sandbox of its own."""

    app: Flask
    sandbox: str

    @property
    def session(self) -> Session:
        return db.session()

    def control(self, path: str, **data: Any) -> dict[str, Any]:
        """Do something that only a provider's own dashboard can."""
        answer = requests.post(f"{self.sandbox}/control/api/{path}", json=data, timeout=5)
        assert answer.ok, answer.text
        return dict(answer.json())

    def asked(self, method: str, path: str) -> int:
        """How many requests Stripe got of that kind."""
        query = {"provider": "stripe", "method": method, "path": f"/stripe-api{path}"}
        answer = requests.get(f"{self.sandbox}/control/api/requests", params=query, timeout=5).json()
        return sum(int(row["count"]) for row in answer["counts"])

    def paid(self, *, hours_left: float, price_minor: int = 6000, currency: str = "GBP") -> Booking:
        """A confirmed booking that begins in that many hours."""
        begins = utcnow() + HOUR * hours_left
        builder = make_builder(self.session)
        kind = make_session_type(self.session, builder, price_minor=price_minor, currency=currency)
        booking = make_booking(self.session, builder=builder, session_type=kind, now=utcnow())
        schedule(self.session, booking, now=utcnow(), since=utcnow(), starts_at=begins, ends_at=begins + HOUR)
        self.pay(booking)
        found = reread(self.session, booking)
        assert found.status is Status.CONFIRMED
        return found

    def open_checkout(self, booking: Booking) -> Payment:
        """Send the client to Stripe."""
        stripe = services.get(StripeGateway)
        addresses = ("https://hours.example/paid", "https://hours.example/")
        pay.start_payment(self.session, stripe, ref=booking.ref, return_to=lambda _: addresses, now=utcnow())
        payment = payments.find_live_payment(self.session, booking.id)
        end_read(self.session)
        assert payment is not None
        return payment

    def pay(self, booking: Booking) -> None:
        """Pay, and let our side ask Stripe how it went."""
        payment = self.open_checkout(booking)
        self.control(f"stripe/sessions/{payment.checkout_session_id}/pay")
        stripe = services.get(StripeGateway)
        checkout = stripe.retrieve_checkout_session(payment.checkout_session_id or "")
        incoming_payments.apply_checkout(
            self.session, checkout, Cause(Actor.STRIPE, CauseCode.STRIPE_FETCHED), now=utcnow()
        )

    def cancel(self, booking: Booking, *, by_builder: bool = False) -> None:
        cancellation.cancel_booking(
            self.session, ref=booking.ref, cause=BY_CLIENT, by_builder=by_builder, now=utcnow()
        )

    def money(self, booking: Booking) -> payments.MoneySummary:
        end_read(self.session)
        found = payments.summarize_money(self.session, booking)
        end_read(self.session)
        return found

    def preview(self, booking: Booking) -> int:
        found = cancellation.preview_cancellation(self.session, booking, now=utcnow())
        end_read(self.session)
        return found.refund_minor


@pytest.fixture
def road(tmp_path: Path, sqlite_template: Path) -> Iterator[Road]:
    """The application and its sandbox; webhooks go nowhere, so that nothing but our own asking is tested."""
    config = SandboxConfig(
        base_url="", app_url="http://127.0.0.1:9", state_path=str(tmp_path / "sandbox.sqlite3")
    )
    server = SandboxServer(config).start()
    base = server.config.base_url
    (tmp_path / "bookingapp.sqlite3").write_bytes(sqlite_template.read_bytes())
    settings = make_settings(
        tmp_path,
        stripe_api_url=f"{base}/stripe-api",
        stripe_checkout_url=f"{base}/stripe-checkout",
        stripe_secret_key=server.config.stripe_secret_key,
        calendly_api_url=f"{base}/calendly-api",
        calendly_token=server.config.calendly_token,
    )
    app = make_app(settings)
    with app.app_context():
        yield Road(app, base)
    close(app)
    server.stop()


@pytest.mark.parametrize(
    ("hours_left", "price", "currency", "back", "status"),
    [
        (25, 6000, "GBP", 6000, "refunded"),
        (13, 9999, "GBP", 5000, "partially_refunded"),
        (13, 4999, "JPY", 2500, "partially_refunded"),
        (11, 6000, "GBP", 0, "paid"),
    ],
)
def test_the_preview_is_what_goes_back(
    road: Road, hours_left: float, price: int, currency: str, back: int, status: str
) -> None:
    """Scenarios 22 to 24: by the hours left, a half rounded up, in the currency that was paid."""
    booking = road.paid(hours_left=hours_left, price_minor=price, currency=currency)
    assert road.preview(booking) == back
    road.cancel(booking)
    assert reread(road.session, booking).status is Status.CANCELED
    worker.run_due(road.app)
    seen = road.money(booking)
    assert (seen.status, seen.charged_minor, seen.refunded_minor) == (status, price, back)
    assert road.asked("POST", "/v1/refunds") == (1 if back else 0)


def test_a_builder_who_cancels_gives_everything_back(road: Road) -> None:
    """Scenario 25: one hour before the start, in Calendly."""
    booking = road.paid(hours_left=1)
    with transaction(road.session) as session:
        locked = session.get_one(Booking, booking.id)
        cause = Cause(Actor.CALENDLY, CauseCode.WEBHOOK, facts={"type": "invitee.canceled"})
        told = cancellation.record_calendly_cancellation(
            session, locked, booking.invitee_uri or "", cause, by_host=True, at=utcnow(), now=utcnow()
        )
        assert told
    worker.run_due(road.app)
    assert road.money(booking).refunded_minor == 6000
    assert reread(road.session, booking).slot is Slot.CANCELED


def test_our_own_cancellation_echoed_by_calendly_changes_nothing(road: Road) -> None:
    """It comes back as the host's doing; the client's refund stays what it was."""
    booking = road.paid(hours_left=13)
    road.cancel(booking)
    with transaction(road.session) as session:
        locked = session.get_one(Booking, booking.id)
        cause = Cause(Actor.CALENDLY, CauseCode.WEBHOOK, facts={"type": "invitee.canceled"})
        cancellation.record_calendly_cancellation(
            session, locked, booking.invitee_uri or "", cause, by_host=True, at=utcnow(), now=utcnow()
        )
    worker.run_due(road.app)
    assert road.money(booking).refunded_minor == 3000


def test_canceling_twice_pays_back_once(road: Road) -> None:
    """A second click is told that it is done."""
    booking = road.paid(hours_left=30)
    road.cancel(booking)
    with pytest.raises(Conflict, match="canceled"):
        road.cancel(booking)
    worker.run_due(road.app)
    worker.run_due(road.app)
    assert road.money(booking).refunded_minor == 6000
    assert road.asked("POST", "/v1/refunds") == 1


def test_a_refund_whose_answer_is_lost_is_not_made_twice(road: Road) -> None:
    """Scenario 26: Stripe did it and the answer never came; the next try finds it in Stripe's list."""
    booking = road.paid(hours_left=30)
    road.cancel(booking)
    road.control(
        "faults",
        provider="stripe",
        kind="lost_answer",
        remaining=3,
        path_prefix="/stripe-api/v1/refunds",
        method="POST",
    )
    worker.run_due(road.app)
    assert road.money(booking).refund == (6000, "enqueued")
    road.control("faults/clear")
    with transaction(road.session) as session:
        session.execute(sa.text("UPDATE jobs SET run_at = created_at WHERE name = 'payments.refund'"))
    worker.run_due(road.app)
    state = requests.get(f"{road.sandbox}/control/api/state", timeout=5).json()
    assert len(state["refunds"]) == 1
    assert road.money(booking).refunded_minor == 6000


def test_a_refund_that_the_bank_returns_is_flagged_and_taken_out_of_the_ledger(road: Road) -> None:
    """Money that did not arrive did not go back."""
    booking = road.paid(hours_left=30)
    road.cancel(booking)
    worker.run_due(road.app)
    refund = payments.find_latest_refund(road.session, booking.id)
    end_read(road.session)
    assert refund is not None and refund.stripe_id is not None
    road.control(f"stripe/refunds/{refund.stripe_id}/settle", status="failed")
    intent = _intent(road, booking)
    known = services.get(StripeGateway).list_refunds(intent)
    with transaction(road.session) as session:
        refunds.record_refunds(session, intent, known, now=utcnow())
        refunds.record_refunds(session, intent, known, now=utcnow())
    seen = road.money(booking)
    assert (seen.refunded_minor, seen.refund) == (0, (6000, "failed"))
    assert reread(road.session, booking).attention == FlagCode.REFUND_UNDELIVERED


def test_refunds_made_in_stripes_dashboard_are_entered_once(road: Road) -> None:
    """Scenario 27: a part, then the rest; the booking is not canceled by it."""
    booking = road.paid(hours_left=30)
    intent = _intent(road, booking)
    for amount, status in ((1000, "partially_refunded"), (5000, "refunded")):
        road.control(f"stripe/payments/{intent}/refund", amount=amount)
        known = services.get(StripeGateway).list_refunds(intent)
        for _ in range(2):
            with transaction(road.session) as session:
                refunds.record_refunds(session, intent, known, now=utcnow())
        assert road.money(booking).status == status
    assert reread(road.session, booking).status is Status.CONFIRMED
    # What is back already is not paid back again.
    road.cancel(booking)
    worker.run_due(road.app)
    assert road.money(booking).refunded_minor == 6000


def test_canceling_before_paying_closes_the_payment_page(road: Road) -> None:
    """Scenario 21: nothing was charged, and the page that is still open in some tab cannot be paid any more."""
    booking = make_booking(road.session, now=utcnow())
    begins = utcnow() + HOUR * 40
    schedule(road.session, booking, now=utcnow(), since=utcnow(), starts_at=begins, ends_at=begins + HOUR)
    payment = road.open_checkout(reread(road.session, booking))
    assert road.preview(reread(road.session, booking)) == 0
    road.cancel(booking)
    worker.run_due(road.app)
    assert road.session.get_one(Payment, payment.id).state is PaymentState.EXPIRED
    assert road.asked("POST", f"/v1/checkout/sessions/{payment.checkout_session_id}/expire") == 1


def test_canceling_ends_an_attempt_to_pay_that_stripe_never_answered(road: Road) -> None:
    """It would be taken for one that is under way, for ever."""
    booking = make_booking(road.session, now=utcnow())
    begins = utcnow() + HOUR * 40
    schedule(road.session, booking, now=utcnow(), since=utcnow(), starts_at=begins, ends_at=begins + HOUR)
    with transaction(road.session):
        attempt = payments.start_attempt(road.session, reread(road.session, booking), now=utcnow())
    road.cancel(booking)
    worker.run_due(road.app)
    assert road.session.get_one(Payment, attempt.id).state is PaymentState.EXPIRED


def test_money_that_comes_after_the_end_goes_back_by_itself(road: Road) -> None:
    """Scenario 31: the client paid in a tab that had been open when the booking was canceled."""
    booking = make_booking(road.session, now=utcnow())
    begins = utcnow() + HOUR * 40
    schedule(road.session, booking, now=utcnow(), since=utcnow(), starts_at=begins, ends_at=begins + HOUR)
    payment = road.open_checkout(reread(road.session, booking))
    road.cancel(booking)
    road.control(f"stripe/sessions/{payment.checkout_session_id}/pay")
    worker.run_due(road.app)
    found = reread(road.session, booking)
    assert found.status is Status.CANCELED
    assert road.money(booking).status == "refunded"
    assert found.attention == FlagCode.LATE_PAYMENT


def test_a_session_that_has_begun_cannot_be_canceled(road: Road) -> None:
    """There is nothing to give back any more."""
    booking = road.paid(hours_left=1)
    with transaction(road.session) as session:
        session.get_one(Booking, booking.id).starts_at = utcnow() - HOUR
    with pytest.raises(Conflict, match="has started already"):
        road.cancel(booking)
    assert road.session.scalar(sa.select(sa.func.count()).select_from(Refund)) == 0


def test_stripe_saying_no_is_shown_to_a_person(road: Road) -> None:
    """Scenario 26: a refund that can never succeed ends, and the booking asks for a look."""
    booking = road.paid(hours_left=30)
    intent = _intent(road, booking)
    road.control(f"stripe/payments/{intent}/dispute")
    road.cancel(booking)
    worker.run_due(road.app)
    refund = payments.find_latest_refund(road.session, booking.id)
    assert refund is not None and refund.state is RefundState.FAILED
    assert reread(road.session, booking).attention == FlagCode.REFUND_REFUSED


def _intent(road: Road, booking: Booking) -> str:
    payment = ledger.find_earning_payment(road.session, booking.id)
    end_read(road.session)
    assert payment is not None and payment.payment_intent_id is not None
    return payment.payment_intent_id
