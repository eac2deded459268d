"""Paying first: a time of our own list is authorized, then booked in Calendly, then charged (docs/money.md)."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import pytest
import sqlalchemy as sa

from bookingapp.bookings.codes import CauseCode, FlagCode
from bookingapp.bookings.models import Actor, SlotRequest
from bookingapp.bookings.service import Cause
from bookingapp.bookings.slot_requests import Choice
from bookingapp.bookings.tracking import TrackingSigner
from bookingapp.builders.models import Builder
from bookingapp.checkout.calendly_slot import Timers
from bookingapp.checkout.capture import capture_payment
from bookingapp.checkout.incoming_payments import record_failed_try
from bookingapp.checkout.take_time import Taking, choose_time, take_time
from bookingapp.core import clock, services
from bookingapp.core.clock import utcnow
from bookingapp.core.db import end_read, transaction
from bookingapp.dashboard.listed import describe_rows
from bookingapp.dashboard.listing import Sort, Wanted, find_page
from bookingapp.integrations.calendly import CalendlyClient
from bookingapp.integrations.stripe_gateway import PaymentIntent, StripeGateway, StripeUnavailable
from bookingapp.payments.models import Payment, PaymentState
from bookingapp.webhooks.models import DeliveryOutcome, InboxEvent
from tests.life.road import Road
from tests.live import FREE, HOUR, Live
from tests.mailbox import Mailbox, text
from tests.money.deals import BUILDER, CLIENT, Deal


@dataclass
class Listed(Deal):
    """A booking whose client chooses on our list."""

    event_type_id: str = field(default=HOUR)

    def times(self) -> list[datetime]:
        """The free times of the next days, in order."""
        now = utcnow()
        with self.live.app.app_context():
            fetched = services.get(CalendlyClient).available_times(
                "platform", self.live.hands.event_type(self.event_type_id), now, now + timedelta(days=14)
            )
        return sorted(time.start_time for time in fetched.value if time.start_time > now + timedelta(days=1))

    def choose(self, start: datetime) -> Taking | None:
        """Choose that time. None where it has to be paid first."""
        with self.live.database() as session:
            timers = services.get(Timers)
            kind = services.get(CalendlyClient).event_type(
                "platform", self.live.hands.event_type(self.event_type_id)
            )
            places = [place.model_dump(exclude_none=True) for place in kind.locations or ()]
            choice = Choice(start, place=places[0] if places else None)
            if choose_time(session, ref=self.ref, choice=choice, timers=timers, now=utcnow()):
                return None
        return self.take()

    def take(self) -> Taking:
        """Take the time that was chosen."""
        with self.live.database() as session:
            return take_time(
                session,
                services.get(CalendlyClient),
                services.get(TrackingSigner),
                booking_id=self.row.id,
                timers=services.get(Timers),
                now=utcnow(),
            )

    def taken_by_somebody_else(self, start: datetime) -> None:
        self.live.hands.control(
            "calendly/book", event_type=self.event_type_id, start_time=start.strftime("%Y-%m-%dT%H:%M:%SZ")
        )

    def invitees(self) -> list[dict[str, Any]]:
        """The active invitees with this booking's reference."""
        signer = self.live.context().signer
        rows = self.live.hands.server.sandbox.store.all("invitee", status="active")
        return [r for r in rows if signer.read(r["tracking"]["utm_content"]) == self.row.tracking_id]

    def charged(self) -> int:
        """What Stripe has taken."""
        return sum(row["amount_captured"] for row in self.live.state()["charges"])

    def chosen_at(self, moment: datetime) -> None:
        """It was chosen at that moment: time goes by."""
        with self.live.database() as session, transaction(session):
            session.execute(sa.update(SlotRequest).values(chosen_at=moment, leased_until=None))


def subjects(mailbox: Mailbox, address: str) -> list[str]:
    """The subjects of the mails for an address, without what comes after the colon."""
    return [str(mail["Subject"]).partition(":")[0] for mail in mailbox.to(address)]


@pytest.fixture
def listed(live: Live) -> Listed:
    """A pending booking of Grace's for Ada's hour, £60.00."""
    live.builder(types={HOUR: {}, FREE: {"price_minor": 0}})
    browser, ref = live.book()
    return Listed(live, browser, ref)


@pytest.mark.any_database
def test_authorized_then_booked_then_charged(listed: Listed, mailbox: Mailbox) -> None:
    """The states and their order are those of every booking; Calendly's webhook is no news."""
    start = listed.times()[0]
    assert listed.choose(start) is None
    assert listed.truth() == ("pending", "none", None)
    assert "You are charged only once the time is yours" in listed.page.words
    listed.pay()
    assert listed.truth() == ("confirmed", "paid", None)
    assert listed.row.starts_at == start
    assert listed.ledger()[0] == ("charge", 6000, "GBP")
    assert listed.history() == [
        ">pending",
        "pending>scheduled",
        "scheduled>paid",
        "paid>confirmed",
    ]
    assert len(listed.invitees()) == 1
    assert listed.charged() == 6000
    assert listed.refunds() == []
    listed.live.work()
    assert listed.truth() == ("confirmed", "paid", None)
    assert subjects(mailbox, CLIENT) == ["You are booked"]
    assert subjects(mailbox, BUILDER) == ["New booking"]
    page = listed.live.browser("ada").page(f"/dashboard/bookings/{listed.row.tracking_id}")
    assert page.words.count("Payment page checked at Stripe") == 2
    recorded = InboxEvent.outcome == DeliveryOutcome.CHECKOUT_SESSION_RECORDED
    with listed.live.database() as session:
        reports = session.scalars(sa.select(InboxEvent.outcome_facts).where(recorded)).all()
    assert [facts["status"] for facts in reports] == ["complete", "complete"]


def test_scenario_60_the_time_is_gone(listed: Listed) -> None:
    """Nothing is charged; another time is taken without a second Checkout."""
    first, *_, second = listed.times()[:9]
    listed.choose(first)
    checkout = listed.open_checkout()
    listed.taken_by_somebody_else(first)
    listed.pay(checkout)
    assert listed.truth() == ("pending", "authorized", None)
    words = listed.page.words
    assert "Your time was just taken" in words
    assert "Nothing was charged" in words
    assert listed.page.one("#schedule-link")["href"] == f"/bookings/{listed.ref}/times"
    assert (listed.charged(), listed.ledger(), listed.invitees()) == (0, [], [])
    assert listed.preview() == (0, "GBP")
    assert listed.choose(second) is Taking.TAKEN
    listed.live.work()
    assert listed.truth() == ("confirmed", "paid", None)
    assert listed.row.starts_at == second
    assert len(listed.sessions()) == 1
    assert (listed.charged(), len(listed.invitees())) == (6000, 1)


@pytest.mark.any_database
def test_scenario_60_released_after_half_an_hour(listed: Listed, mailbox: Mailbox) -> None:
    """Nothing was charged, and a mail says so."""
    start = listed.times()[0]
    listed.choose(start)
    checkout = listed.open_checkout()
    listed.taken_by_somebody_else(start)
    listed.pay(checkout)
    until = listed.row.hold_expires_at
    assert until is not None
    assert timedelta(minutes=25) < until - utcnow() <= timedelta(minutes=30)
    lost = text(mailbox.one(CLIENT, "Your time was taken"))
    assert f"Somebody else was faster for {clock.day_time(start, listed.row.client_timezone)}" in lost
    listed.let_the_hold_end()
    assert listed.truth() == ("expired", "expired", None)
    assert "Nothing was charged" in listed.page.words
    assert "Released, nothing was charged" in listed.page.one(".ticket").text
    with listed.live.database() as session:
        builder = session.scalars(sa.select(Builder)).one()
        page = find_page(session, Wanted(builder.id, utcnow(), Sort.NEWEST, has_time=False))
        (row,) = describe_rows(session, page.rows, builder.timezone)
        assert row.payment_label == "Released, nothing was charged"
    assert (listed.charged(), listed.ledger(), listed.refunds()) == (0, [], [])
    (intent,) = listed.live.state()["payment_intents"]
    assert intent["status"] == "canceled"
    assert subjects(mailbox, CLIENT) == ["Your time was taken", "Nothing was charged"]


@pytest.mark.any_database
def test_canceled_while_authorized(listed: Listed) -> None:
    """The preview says 0, and the money is released."""
    start = listed.times()[0]
    listed.choose(start)
    checkout = listed.open_checkout()
    listed.taken_by_somebody_else(start)
    listed.pay(checkout)
    listed.cancel()
    assert listed.truth() == ("canceled", "expired", None)
    assert (listed.charged(), listed.ledger(), listed.refunds()) == (0, [], [])


@pytest.mark.any_database
def test_a_free_time_is_taken_at_once(live: Live) -> None:
    """No hold, no Stripe; a time that is gone is said."""
    live.builder(types={FREE: {"price_minor": 0}})
    browser, ref = live.book(FREE)
    free = Listed(live, browser, ref, event_type_id=FREE)
    first, *_, second = free.times()[:9]
    free.taken_by_somebody_else(first)
    assert free.choose(first) is Taking.GONE
    assert free.truth() == ("pending", "none", None)
    assert "Your time was just taken" in free.page.words
    assert free.choose(second) is Taking.TAKEN
    assert free.truth() == ("confirmed", "none", None)
    free.live.work()
    assert free.history() == [">pending", "pending>scheduled", "scheduled>confirmed"]


@pytest.mark.any_database
def test_calendly_is_away(listed: Listed) -> None:
    """The money stays authorized and the page says what happens; once Calendly answers, it goes on."""
    listed.choose(listed.times()[0])
    checkout = listed.open_checkout()
    listed.live.fault("500", path_prefix="/calendly-api")
    listed.pay(checkout)
    assert listed.truth() == ("pending", "authorized", None)
    assert "We are booking your time" in listed.page.words
    Road(listed.live).calendly_returns()
    listed.hurry("take-time:")
    assert listed.truth() == ("confirmed", "paid", None)
    assert len(listed.invitees()) == 1


def test_calendly_stays_away(listed: Listed, mailbox: Mailbox) -> None:
    """After a quarter of an hour the client chooses again; the money is released in the end."""
    listed.choose(listed.times()[0])
    checkout = listed.open_checkout()
    listed.live.fault("500", path_prefix="/calendly-api")
    listed.pay(checkout)
    listed.chosen_at(utcnow() - timedelta(minutes=16))
    listed.hurry("take-time:")
    assert listed.truth() == ("pending", "authorized", None)
    assert "This time could not be booked" in listed.page.words
    listed.live.work()
    letter = text(mailbox.one(CLIENT, "Your time could not be booked"))
    assert "We could not book" in letter
    for words in (letter, listed.page.words):
        assert "Somebody else" not in words
        assert "Calendly did not accept" not in words
    listed.let_the_hold_end()
    assert listed.truth() == ("expired", "expired", None)
    assert listed.charged() == 0


@contextmanager
def paid_unheard(listed: Listed) -> Iterator[None]:
    """The client has paid for a time, and Calendly has made the invitee; its answer is lost, and no webhook comes."""
    listed.choose(listed.times()[0])
    checkout = listed.open_checkout()
    with Road(listed.live).silence():
        listed.live.fault("lost_answer", path_prefix="/calendly-api/invitees", method="POST", remaining=1)
        listed.pay(checkout)
        yield


def test_an_answer_that_is_lost(listed: Listed) -> None:
    """Calendly has made the invitee and we did not hear of it: it is found, and there is no second one."""
    with paid_unheard(listed):
        assert listed.truth() == ("pending", "authorized", None)
        assert len(listed.invitees()) == 1
        listed.hurry("take-time:")
        assert listed.truth() == ("confirmed", "paid", None)
    assert (len(listed.invitees()), listed.charged()) == (1, 6000)


@pytest.mark.parametrize("is_over", [False, True])
def test_an_answer_that_is_lost_for_good(listed: Listed, is_over: bool) -> None:
    """The choice is given up, and the invitee is found once Calendly answers: the time is the client's, or released."""
    with paid_unheard(listed):
        listed.live.fault("500", path_prefix="/calendly-api")
        listed.chosen_at(utcnow() - timedelta(minutes=16))
        listed.hurry("take-time:")
        assert "This time could not be booked" in listed.page.words
        if is_over:
            listed.let_the_hold_end()
        assert len(listed.invitees()) == 1
        Road(listed.live).calendly_returns()
        listed.live.fault("drop")
        listed.hurry("find-asked-time:")
    if is_over:
        assert (listed.truth(), listed.charged(), listed.invitees()) == (("expired", "expired", None), 0, [])
    else:
        assert (listed.truth(), listed.charged()) == (("confirmed", "paid", None), 6000)
        assert len(listed.invitees()) == 1


def test_looking_that_outlasts_its_lease(listed: Listed, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another process asks meanwhile; the first sees that before it would make a second invitee."""
    look = CalendlyClient.available_times
    taken: list[Taking | None] = []

    def slow(self: CalendlyClient, *args: Any, **how: Any) -> Any:
        found = look(self, *args, **how)
        if not taken:
            listed.chosen_at(utcnow())
            taken.append(None)
            taken.append(listed.take())
        return found

    listed.choose(start := listed.times()[0])
    checkout = listed.open_checkout()
    monkeypatch.setattr(CalendlyClient, "available_times", slow)
    listed.pay(checkout)
    assert taken == [None, Taking.TAKEN]
    assert listed.live.calls("/invitees", "POST") == 1
    assert listed.truth() == ("confirmed", "paid", None)
    assert listed.row.starts_at == start


def test_stripe_is_away_when_the_time_is_taken(listed: Listed) -> None:
    """The client has the time and nothing is charged yet; the hold's end waits for the capture."""
    listed.choose(listed.times()[0])
    checkout = listed.open_checkout()
    listed.live.hands.control(
        "faults", provider="stripe", kind="500", path_prefix="/stripe-api/v1/payment_intents"
    )
    listed.pay(checkout)
    assert listed.truth() == ("scheduled", "authorized", None)
    assert "Your time is yours" in listed.page.words
    listed.let_the_hold_end()
    assert listed.truth() == ("scheduled", "authorized", None)
    listed.live.hands.control("faults/clear")
    listed.hurry("payments.capture:")
    assert listed.truth() == ("confirmed", "paid", None)
    assert listed.charged() == 6000


def test_an_error_that_stripe_keeps_under_its_key(listed: Listed, monkeypatch: pytest.MonkeyPatch) -> None:
    """Stripe repeats it for a day; the next minute's try has another key, so the session is not lost meanwhile."""
    kept: set[str] = set()
    capture = StripeGateway.capture_payment

    def fail(self: StripeGateway, payment_intent: str, *, idempotency_key: str) -> PaymentIntent:
        if not kept or idempotency_key in kept:
            kept.add(idempotency_key)
            raise StripeUnavailable("an error of its own", status=500)
        return capture(self, payment_intent, idempotency_key=idempotency_key)

    monkeypatch.setattr(StripeGateway, "capture_payment", fail)
    listed.choose(listed.times()[0])
    listed.pay(listed.open_checkout())
    assert listed.truth() == ("scheduled", "authorized", None)
    with listed.live.database() as session:
        (payment_id,) = session.scalars(sa.select(Payment.id))
        end_read(session)
        capture_payment(
            session,
            services.get(StripeGateway),
            payment_id=payment_id,
            timers=services.get(Timers),
            now=utcnow() + timedelta(minutes=1),
        )
    assert listed.truth() == ("confirmed", "paid", None)
    assert listed.charged() == 6000


def authorized_and_not_captured(listed: Listed) -> Payment:
    """The client has the time, and Stripe does not answer when the money is to be captured."""
    listed.choose(listed.times()[0])
    checkout = listed.open_checkout()
    control = listed.live.hands.control
    control("faults", provider="stripe", kind="500", path_prefix="/stripe-api/v1/payment_intents")
    listed.pay(checkout)
    control("faults/clear")
    assert listed.truth() == ("scheduled", "authorized", None)
    with listed.live.database() as session:
        return session.scalars(sa.select(Payment)).one()


def test_the_bank_ends_the_authorization(listed: Listed, mailbox: Mailbox) -> None:
    """The client has the time and can pay again for as long as a hold lasts."""
    authorized_and_not_captured(listed)
    listed.at_stripe(f"payments/{listed.intent()}/expire")
    assert listed.truth() == ("scheduled", "expired", None)
    assert subjects(mailbox, CLIENT) == ["Your payment did not go through"]
    listed.pay()
    assert listed.truth() == ("confirmed", "paid", None)
    assert listed.charged() == 6000


def test_the_bank_ends_the_authorization_before_calendly_is_heard(listed: Listed) -> None:
    """Calendly had made the invitee, and its answer was lost: the client has that time, and a hold to pay for it."""
    with paid_unheard(listed):
        listed.live.hands.control("faults/clear")
        listed.at_stripe(f"payments/{listed.intent()}/expire")
        listed.live.fault("drop")
        listed.hurry("take-time:")
        listed.hurry("find-asked-time:")
    assert (listed.truth(), listed.charged()) == (("scheduled", "expired", None), 0)
    listed.let_the_hold_end()
    assert (listed.truth()[0], listed.invitees()) == ("expired", [])


def test_a_declined_try_that_is_reported_late(listed: Listed) -> None:
    """The first card was declined, and the second authorized: what was read in between ends nothing."""
    payment = authorized_and_not_captured(listed)
    declined = PaymentIntent(
        id=str(payment.payment_intent_id),
        status="requires_payment_method",
        amount_minor=6000,
        amount_received=0,
        currency="GBP",
        latest_charge=None,
        metadata={"booking": listed.row.tracking_id, "attempt": str(payment.attempt)},
        failure="card_declined",
    )
    with listed.live.database() as session, transaction(session):
        cause = Cause(Actor.STRIPE, CauseCode.WEBHOOK)
        record_failed_try(session, declined, cause, now=utcnow())
    assert listed.truth() == ("scheduled", "authorized", None)
    listed.hurry("payments.capture:")
    assert (listed.truth(), listed.charged()) == (("confirmed", "paid", None), 6000)


def test_an_attempt_that_ended_after_it_was_captured(listed: Listed) -> None:
    """Captured by a first try whose answer was lost: the second one reads that."""
    authorized_and_not_captured(listed)
    intent = listed.intent()
    with listed.live.database():
        services.get(StripeGateway).capture_payment(intent, idempotency_key="first")
    with listed.live.database() as session, transaction(session):
        session.execute(sa.update(Payment).values(state=PaymentState.FAILED))
    listed.hurry("payments.capture:")
    assert (listed.truth(), listed.charged()) == (("confirmed", "paid", None), 6000)
    assert listed.attempts() == [PaymentState.PAID]


def test_the_client_takes_a_time_in_the_calendar_after_all(listed: Listed) -> None:
    """The list's payment page names another time, so it is closed; the booking goes the calendar's way."""
    first, *_, second = listed.times()[:9]
    listed.choose(first)
    checkout = listed.open_checkout()
    listed.live.choose(listed.browser, listed.ref, start_time=second.strftime("%Y-%m-%dT%H:%M:%SZ"))
    listed.live.work()
    assert listed.truth()[0] == "scheduled"
    assert listed.row.starts_at == second
    (session,) = [row for row in listed.sessions() if row["id"] == checkout]
    assert session["status"] == "expired"
    listed.pay()
    assert listed.truth() == ("confirmed", "paid", None)
    assert len(listed.invitees()) == 1


def test_another_choice_before_paying(listed: Listed) -> None:
    """The payment page of the first choice is closed: what is paid is the second."""
    first, *_, second = listed.times()[:9]
    listed.choose(first)
    before = listed.open_checkout()
    listed.choose(second)
    after = listed.open_checkout()
    assert after != before
    listed.pay(after)
    assert listed.truth() == ("confirmed", "paid", None)
    assert listed.row.starts_at == second


def test_two_sessions_at_the_same_time(listed: Listed) -> None:
    """The second is flagged before it is charged, whichever way they came."""
    start = listed.times()[0]
    listed.choose(start)
    checkout = listed.open_checkout()
    browser, ref = listed.live.book()
    other = Listed(listed.live, browser, ref)
    listed.pay(checkout)
    overlapping = (start + timedelta(minutes=30)).strftime("%Y-%m-%dT%H:%M:%SZ")
    other.live.choose(browser, ref, start_time=overlapping)
    other.live.work()
    assert other.truth() == ("scheduled", "none", FlagCode.OVERLAP)
    assert listed.truth() == ("confirmed", "paid", None)


def test_an_old_page_that_could_not_be_closed(listed: Listed) -> None:
    """Its page names the first choice, so paying it does not book the second: it is released."""
    first, *_, second = listed.times()[:9]
    listed.choose(first)
    page = listed.open_checkout()
    listed.live.hands.control(
        "faults", provider="stripe", kind="500", path_prefix="/stripe-api/v1/checkout/sessions/"
    )
    listed.choose(second)
    listed.live.hands.control("faults/clear")
    listed.live.hands.control(f"stripe/sessions/{page}/pay")
    listed.live.work()
    assert listed.truth()[0] == "pending"
    assert (listed.charged(), listed.invitees()) == (0, [])
    (intent,) = listed.live.state()["payment_intents"]
    assert intent["status"] == "canceled"
    listed.pay(listed.open_checkout())
    assert listed.truth() == ("confirmed", "paid", None)
    assert (listed.row.starts_at, listed.charged()) == (second, 6000)


def test_canceled_while_calendly_is_silent(listed: Listed) -> None:
    """The invitee that Calendly made, and of which nobody heard, is released; so is the money."""
    with paid_unheard(listed):
        assert (listed.truth()[:2], len(listed.invitees())) == (("pending", "authorized"), 1)
        listed.cancel()
        listed.hurry("take-time:")
        listed.hurry("find-asked-time:")
    assert listed.invitees() == []
    assert listed.truth()[0] == "canceled"
    assert listed.charged() == 0
