"""An installation is upgraded with its data in it, and while it answers."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable
from contextvars import Context
from datetime import timedelta
from typing import Any, Self

import flask_migrate
import sqlalchemy as sa
from flask import Flask

from bookingapp.core.clock import utcnow
from bookingapp.core.db import db
from tests.conftest import STRIPE_HOOK_SECRET
from tests.factories import (
    PASSWORD,
    QUICK_HASHER,
    make_booking,
    make_builder,
    make_session_type,
    reread,
    schedule,
    signature,
    stripe_event,
)
from tests.house.test_migration_of_work import insert
from tests.pages import PageClient, new_client
from tests.waiting import eventually

# Asks for something, the next time with the next number where the answer was 200, and says the status.
Ask = Callable[[PageClient, int], int]
# docs/deploy.md names it.
ONLY_ADDED_TO_SINCE = "0031"
EMAIL = "ada@example.com"
TYPE = "https://api.calendly.com/event_types/ET1"
POLICY = {
    "version": 1,
    "client_cancels": [{"hours_before": 24, "percent": 100}, {"hours_before": 12, "percent": 50}],
    "builder_cancels_percent": 100,
}
# Reference: status, whether a time is taken, what was paid, what went back.
OLD_BOOKINGS: dict[str, tuple[str, str, int, int]] = {
    "pending-one": ("pending", "none", 0, 0),
    "scheduled-one": ("scheduled", "active", 0, 0),
    "confirmed-one": ("confirmed", "active", 6000, 0),
    "completed-one": ("completed", "active", 6000, 0),
    "canceled-one": ("canceled", "canceled", 6000, 3000),
    "expired-one": ("expired", "none", 0, 0),
}
PAYMENT_STATUSES = {"confirmed-one": "paid", "completed-one": "paid", "canceled-one": "partially_refunded"}


def migrate(app: Flask, revision: str = "head") -> None:
    """As a process of its own does it: a page that this thread has asked for leaves its way to begin transactions."""

    def run() -> None:
        with app.app_context():
            flask_migrate.upgrade(revision=revision)

    Context().run(run)


def fill_first_release() -> None:
    """What the first release left behind: a builder, and a booking of each kind with its money and history."""
    now = utcnow()
    account = {"id": 1, "email": EMAIL, "name": "Ada", "is_operator": False, "created_at": now}
    insert("accounts", [{**account, "password_hash": QUICK_HASHER.hash(PASSWORD)}])
    texts = {
        "slug": "ada",
        "display_name": "Ada Okonkwo",
        "headline": "Ships",
        "bio": "I *build*.",
        "timezone": "UTC",
    }
    builder: dict[str, Any] = {**texts, "skills": ["Flask"], "links": {}, "listed": True, "tier": "expert"}
    builder |= {
        "id": 1,
        "account_id": 1,
        "calendly_user_uri": "https://api.calendly.com/users/U1",
        "is_demo": False,
    }
    builder |= {
        "default_currency": "GBP",
        "catalog_version": 0,
        "availability": "available",
        "created_at": now,
    }
    insert("builders", [builder])
    price = {"id": 1, "builder_id": 1, "event_type_uri": TYPE, "price_minor": 6000, "currency": "GBP"}
    insert(
        "session_types",
        [{**price, "category": "specialized", "published": True, "display_order": 0, "updated_at": now}],
    )
    for number, (ref, (status, slot, paid, refunded)) in enumerate(OLD_BOOKINGS.items(), 1):
        starts_at = None
        if slot != "none":
            starts_at = now + (timedelta(days=-3) if status == "completed" else timedelta(days=9))
        insert(
            "bookings",
            [old_booking(number, ref, status=status, slot=slot, starts_at=starts_at, is_paid=bool(paid))],
        )
        change = {"booking_id": number, "to_status": status, "actor": "system", "cause": "test", "at": now}
        insert("booking_history", [{**change, "from_status": None, "event": None, "inbox_id": None}])
        if not paid:
            continue
        money = {"booking_id": number, "currency": "GBP"}
        payment = {
            **money,
            "id": number,
            "attempt": 1,
            "state": "paid",
            "amount_minor": paid,
            "expires_at": now,
        }
        payment |= {
            "checkout_session_id": f"cs_{number}",
            "checkout_url": None,
            "payment_intent_id": f"pi_{number}",
        }
        insert("payments", [{**payment, "created_at": now, "updated_at": now}])
        entry = {**money, "payment_id": number, "at": now}
        insert(
            "ledger_entries", [{**entry, "kind": "charge", "amount_minor": paid, "stripe_id": f"ch_{number}"}]
        )
        if refunded:
            insert(
                "ledger_entries",
                [{**entry, "kind": "refund", "amount_minor": -refunded, "stripe_id": f"re_{number}"}],
            )
            refund = {
                **money,
                "payment_id": number,
                "token": f"t{number}",
                "state": "succeeded",
                "reason": "policy",
            }
            refund |= {
                "amount_minor": refunded,
                "stripe_id": f"re_{number}",
                "created_at": now,
                "updated_at": now,
            }
            insert("refunds", [refund])


def old_booking(
    number: int, ref: str, *, status: str, slot: str, starts_at: Any, is_paid: bool
) -> dict[str, Any]:
    """A row of the first release's ``bookings``."""
    now = utcnow()
    event = f"https://api.calendly.com/scheduled_events/EV{number}" if starts_at else None
    return {
        "id": number,
        "ref": ref,
        "tracking_id": f"track-{number}",
        "builder_id": 1,
        "session_type_id": 1,
        "status": status,
        "attention": None,
        "client_name": "Zadie Old",
        "client_email": "zadie@example.org",
        "client_timezone": "Europe/London",
        "title": "App review",
        "duration_minutes": 60,
        "event_type_uri": TYPE,
        "scheduling_url": "https://calendly.com/ada/review",
        "price_minor": 6000,
        "currency": "GBP",
        "policy": POLICY,
        "slot": slot,
        "event_uri": event,
        "invitee_uri": event and f"{event}/invitees/IN{number}",
        "invitee_since": event and now,
        "canceled_invitees": [],
        "starts_at": starts_at,
        "ends_at": starts_at and starts_at + timedelta(hours=1),
        "join_url": None,
        "cancel_url": None,
        "reschedule_url": None,
        "paid_at": now if is_paid else None,
        "hold_expires_at": now + timedelta(minutes=30) if status in ("pending", "scheduled") else None,
        "created_at": now,
        "updated_at": now,
    }


def test_the_first_release_with_its_data(unmigrated: Flask) -> None:
    """Whoever had the first release sees the same bookings and the same money, and finds bookings by a name."""
    migrate(unmigrated, "0001")
    with unmigrated.app_context():
        fill_first_release()
    migrate(unmigrated)

    client = new_client(unmigrated)
    assert "Ada Okonkwo" in client.page("/").words
    # It was no Markdown then.
    assert "I *build*." in client.page("/builders/ada").words
    for ref, (status, *_) in OLD_BOOKINGS.items():
        truth = client.page(f"/bookings/{ref}").select_one("[data-booking-status]")
        assert truth is not None
        assert truth["data-booking-status"] == status
        assert truth["data-payment-status"] == PAYMENT_STATUSES.get(ref, "none"), ref

    assert client.submit("/login", {"email": EMAIL, "password": PASSWORD}).location == "/dashboard"
    found: Counter[tuple[Any, Any]] = Counter()
    for shown in ("", "&show=unfinished"):
        rows = client.page(f"/dashboard/bookings?q=zadie{shown}").select("[data-booking-ref]")
        found.update((row["data-booking-status"], row["data-payment-status"]) for row in rows)
    assert set(found) == {
        (status, PAYMENT_STATUSES.get(ref, "none")) for ref, (status, *_) in OLD_BOOKINGS.items()
    }
    with unmigrated.app_context(), db.engine.connect() as connection:
        total = connection.scalar(sa.text("SELECT sum(amount_minor) FROM ledger_entries"))
    assert total == sum(paid - refunded for _, _, paid, refunded in OLD_BOOKINGS.values())


class Traffic:
    """Readers, and a provider that sends each event until it is answered 200, all at once."""

    def __init__(self, app: Flask, asks: dict[str, Ask]) -> None:
        self.answers: dict[str, Counter[int]] = {name: Counter() for name in asks}
        self.faults: list[BaseException] = []
        self._app = app
        self._over = threading.Event()
        self._threads = [threading.Thread(target=self._ask, args=one) for one in asks.items()]

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        for thread in self._threads:
            thread.join()

    def _ask(self, name: str, ask: Ask) -> None:
        client, number = new_client(self._app), 0
        try:
            while not self._over.is_set():
                status = ask(client, number)
                self.answers[name][status] += 1
                number += status == 200
        except BaseException as error:
            self.faults.append(error)

    def wait(self) -> None:
        """Until everybody has got another answer."""
        before = {name: seen.total() for name, seen in self.answers.items()}

        def all_answered() -> bool:
            return bool(self.faults) or all(self.answers[name].total() > before[name] for name in before)

        eventually(all_answered, "an answer for everybody")


def test_an_upgrade_while_it_answers(unmigrated: Flask) -> None:
    """From the first schema whose successors only add to it: nobody sees an error, and no event is lost."""
    migrate(unmigrated, ONLY_ADDED_TO_SINCE)
    with unmigrated.app_context():
        session = db.session()
        builder = make_builder(session, slug="ada")
        booking = make_booking(session, builder=builder, session_type=make_session_type(session, builder))
        schedule(session, booking)
        ref, email = reread(session, booking).ref, EMAIL
        common = {"booking_id": booking.id, "builder_id": builder.id}
        insert("booking_words", [{**common, "word": f"word-{number}"} for number in range(20_000)])

    def send(client: PageClient, number: int) -> int:
        body = stripe_event("customer.created", {"id": f"cus_{number}"}, id_=f"evt_{number}")
        headers = {"Stripe-Signature": signature(body, STRIPE_HOOK_SECRET)}
        return client.post("/webhooks/stripe", data=body, headers=headers).status_code

    def look_at_bookings(client: PageClient, number: int) -> int:
        if not number:
            assert client.submit("/login", {"email": email, "password": PASSWORD}).location == "/dashboard"
        return client.get("/dashboard/bookings").status_code

    asks: dict[str, Ask] = {
        "directory": lambda client, _: client.get("/").status_code,
        "truth page": lambda client, _: client.get(f"/bookings/{ref}").status_code,
        "bookings": look_at_bookings,
        "provider": send,
    }
    with Traffic(unmigrated, asks) as traffic:
        traffic.wait()
        migrate(unmigrated)
        traffic.wait()
    assert traffic.faults == []
    for name in ("directory", "truth page", "bookings"):
        assert set(traffic.answers[name]) == {200}, name
    # What waits longer than a provider may wait is sent again.
    assert set(traffic.answers["provider"]) <= {200, 503}
    with unmigrated.app_context(), db.engine.connect() as connection:
        stored = connection.scalar(sa.text("SELECT count(*) FROM inbox_events"))
        assert connection.scalar(sa.text("SELECT count(*) FROM booking_words WHERE week IS NULL")) == 0
    assert stored == traffic.answers["provider"][200]
