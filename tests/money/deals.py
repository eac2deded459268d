"""One booking and its money, as the client, the builder, Stripe and our own database see it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlsplit

import sqlalchemy as sa
from werkzeug.test import TestResponse

from bookingapp.bookings.models import Booking, HistoryEntry
from bookingapp.core.clock import utcnow
from bookingapp.core.db import transaction
from bookingapp.core.queue import Job
from bookingapp.payments.models import LedgerEntry, Payment, PaymentState, Refund
from tests.factories import signature
from tests.live import HOUR, Live
from tests.pages import Page, PageClient

CLIENT, BUILDER = "grace@example.org", "ada@example.com"


def open_shop(live: Live, **price: Any) -> None:
    """Ada, whose hour costs what ``price`` says; £60.00 by default."""
    live.builder(types={HOUR: price})


@dataclass
class Deal:
    """One booking in its client's browser."""

    live: Live
    browser: PageClient
    ref: str

    @classmethod
    def made(cls, live: Live, *, days: int = 9) -> Deal:
        """A booking that has a time."""
        browser, ref = live.book()
        starts = (datetime.now(UTC) + timedelta(days=days)).replace(minute=0, second=0, microsecond=0)
        live.choose(browser, ref, start_time=starts.strftime("%Y-%m-%dT%H:%M:%SZ"))
        live.work()
        deal = cls(live, browser, ref)
        assert deal.truth()[0] == "scheduled"
        return deal

    # What the client does and sees

    def page(self) -> Page:
        """The truth page."""
        return self.browser.page(f"/bookings/{self.ref}")

    def truth(self) -> tuple[str, str, str | None]:
        """Status, payment status and attention, as the truth page tells a program."""
        found = self.page().one("[data-booking-status]")
        attention = found.get("data-attention")
        return (
            str(found["data-booking-status"]),
            str(found["data-payment-status"]),
            str(attention) if attention else None,
        )

    def open_checkout(self) -> str:
        """Press Pay; the id of the Checkout Session."""
        answer = self.press("pay")
        assert answer.status_code == 303, answer.text
        return urlsplit(answer.headers["Location"]).path.rsplit("/", 1)[-1]

    def press(self, what: str, **how: Any) -> TestResponse:
        """Send one of the booking's forms."""
        return self.browser.submit(f"/bookings/{self.ref}/{what}", **how)

    def pay(self, checkout: str | None = None, **how: Any) -> str:
        """Pay on Stripe's page, and let the news arrive; the id of the Checkout Session."""
        checkout = checkout or self.open_checkout()
        self.live.hands.control(f"stripe/sessions/{checkout}/pay", **how)
        self.live.work()
        return checkout

    def cancel(self) -> None:
        """Call it off on our page."""
        assert self.press("cancel").status_code == 303

    def preview(self) -> tuple[int, str]:
        """What our page says a cancellation would give back."""
        found = self.browser.page(f"/bookings/{self.ref}/cancel").one("[data-refund-minor]")
        return int(str(found["data-refund-minor"])), str(found["data-currency"])

    def tell(self, body: bytes) -> None:
        """Stripe delivers that event, and it is applied."""
        config = self.live.hands.server.config
        headers = {"Stripe-Signature": signature(body, config.stripe_webhook_secret)}
        answer = self.live.hands.http.post(
            f"{config.app_url}/webhooks/stripe", data=body, headers=headers, timeout=10
        )
        assert answer.status_code == 200
        self.live.work()

    # What Stripe knows

    def sessions(self) -> list[dict[str, Any]]:
        """Stripe's Checkout Sessions for it."""
        rows: list[dict[str, Any]] = self.live.state()["sessions"]
        return [row for row in rows if row["client_reference_id"] == self.ref]

    def refunds(self) -> list[tuple[int, str, str]]:
        """Amount, currency and status of every refund at Stripe, oldest first."""
        return [(row["amount"], row["currency"], row["status"]) for row in self.refund_objects()]

    def refund_objects(self) -> list[dict[str, Any]]:
        """The same as Stripe has them."""
        rows: list[dict[str, Any]] = self.live.state()["refunds"]
        return sorted(rows, key=lambda row: (row["created"], row["metadata"] == {}))

    def intent(self) -> str:
        """The payment intent of the newest payment."""
        (found,) = {row["payment_intent"] for row in self.sessions() if row["payment_intent"]}
        return str(found)

    def balance(self) -> dict[str, int]:
        """What Stripe has in the account, which is this booking's alone, by currency."""
        key = {"Authorization": f"Bearer {self.live.hands.server.config.stripe_secret_key}"}
        url = f"{self.live.hands.base}/stripe-api/v1/balance"
        answer = self.live.hands.http.get(url, headers=key, timeout=10).json()
        return {row["currency"].upper(): row["amount"] for row in answer["available"] if row["amount"]}

    def asked(self, method: str, path: str) -> int:
        """How often Stripe was asked for exactly that path."""
        rows = self.live.hands.http.get(f"{self.live.hands.base}/control/api/requests", timeout=10).json()[
            "requests"
        ]
        return sum((row["method"], row["path"]) == (method, f"/stripe-api/v1{path}") for row in rows)

    # What we know

    @property
    def booking(self) -> Booking:
        return self.live.booking(self.ref)

    def ledger(self) -> list[tuple[str, int, str]]:
        """Kind, minor units and currency of everything that moved, in order."""
        query = sa.select(LedgerEntry.kind, LedgerEntry.amount_minor, LedgerEntry.currency)
        with self.live.database() as session:
            rows = session.execute(query.order_by(LedgerEntry.id))
            return [(kind.value, minor, currency) for kind, minor, currency in rows]

    def total(self) -> dict[str, int]:
        """What our ledger comes to, by currency."""
        sums: dict[str, int] = {}
        for _, minor, currency in self.ledger():
            sums[currency] = sums.get(currency, 0) + minor
        return {currency: minor for currency, minor in sums.items() if minor}

    def history(self) -> list[str]:
        """``from>to`` for each change, oldest first."""
        query = sa.select(HistoryEntry.from_status, HistoryEntry.to_status).order_by(HistoryEntry.id)
        with self.live.database() as session:
            return [f"{before or ''}>{after}" for before, after in session.execute(query)]

    def attempts(self) -> list[PaymentState]:
        """The state of each attempt to pay, oldest first."""
        with self.live.database() as session:
            return list(session.scalars(sa.select(Payment.state).order_by(Payment.attempt)))

    def refund_rows(self) -> list[Refund]:
        """Our own rows of refunds, oldest first."""
        with self.live.database() as session:
            return list(session.scalars(sa.select(Refund).order_by(Refund.id)))

    # The time that goes by

    def begins_in(self, hours: float) -> None:
        """Let the session begin in that many hours from now."""
        starts = utcnow() + timedelta(hours=hours)
        self._change(starts_at=starts, ends_at=starts + timedelta(hours=1))

    def let_the_hold_end(self) -> None:
        """The hold is over, and the timer that was set for it is due."""
        self.hold_is_over()
        self.hurry("expire:")

    def hold_is_over(self) -> None:
        """The hold is over, and nobody has come by."""
        self._change(hold_expires_at=utcnow() - timedelta(seconds=1))

    def hurry(self, prefix: str) -> None:
        """Make the rows of the outbox due whose key begins so, and do all that is due."""
        due = Job.key.startswith(prefix, autoescape=True)
        with self.live.database() as session, transaction(session):
            session.execute(sa.update(Job).where(due).values(run_at=utcnow() - timedelta(seconds=1)))
        self.live.work()

    def _change(self, **values: Any) -> None:
        with self.live.database() as session, transaction(session):
            session.execute(sa.update(Booking).where(Booking.ref == self.ref).values(**values))
