"""One booking and its money, as the client, Stripe and our own database have it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import sqlalchemy as sa

from bookingapp.core.clock import utcnow
from bookingapp.core.db import transaction
from bookingapp.core.queue import Job
from bookingapp.payments.models import LedgerEntry, Payment, PaymentState, Refund
from tests.factories import signature
from tests.life.road import ClientsBooking
from tests.live import HOUR, Live

CLIENT, BUILDER = "grace@example.org", "ada@example.com"


def open_shop(live: Live, **price: Any) -> None:
    """Ada, whose hour costs what ``price`` says; £60.00 by default."""
    live.builder(types={HOUR: price})


def publish(live: Live, price: str, currency: str) -> tuple[int, str]:
    """Price Ada's hour by the command; its exit code, and all that it printed."""
    kind = live.hands.event_type(HOUR)
    command = ["session-types", "publish", "--builder", "ada", "--event-type", kind]
    done = live.runner().invoke(args=[*command, "--price", price, "--currency", currency])
    return done.exit_code, done.output


@dataclass
class Deal(ClientsBooking):
    """One booking and its payments."""

    @classmethod
    def made(cls, live: Live, *, days: int = 13) -> Deal:
        """A booking that has a time."""
        browser, ref = live.book()
        starts = (datetime.now(UTC) + timedelta(days=days)).replace(minute=0, second=0, microsecond=0)
        live.choose(browser, ref, start_time=starts.strftime("%Y-%m-%dT%H:%M:%SZ"))
        live.work()
        deal = cls(live, browser, ref)
        assert deal.truth()[0] == "scheduled"
        return deal

    # What the client does and sees

    def truth(self) -> tuple[str, str, str | None]:
        """Status, payment status and attention, as the truth page gives them to a program."""
        found = self.page.one("[data-booking-status]")
        attention = found.get("data-attention")
        return (
            str(found["data-booking-status"]),
            str(found["data-payment-status"]),
            str(attention) if attention else None,
        )

    def pay(self, checkout: str | None = None, **how: Any) -> str:
        """Pay on Stripe's page, and apply the deliveries; the id of the Checkout Session."""
        checkout = checkout or self.open_checkout()
        self.at_stripe(f"sessions/{checkout}/pay", **how)
        return checkout

    def cancel(self) -> None:
        """Cancel on our page, and let the worker do what follows."""
        assert self.press("cancel").status_code == 303
        self.live.work()

    def settle(self, outcome: str) -> None:
        """The bank decides on a delayed payment."""
        self.at_stripe(f"payments/{self.intent()}/settle", outcome=outcome)

    def refund_by_hand(self, amount: int | None = None) -> None:
        """Somebody refunds in Stripe's dashboard: all of it, or so much."""
        self.at_stripe(f"payments/{self.intent()}/refund", **({} if amount is None else {"amount": amount}))

    def settle_refund(self, outcome: str) -> None:
        """The bank decides on the only refund."""
        (refund,) = self.refund_objects()
        self.at_stripe(f"refunds/{refund['id']}/settle", outcome=outcome)

    def at_stripe(self, what: str, **how: Any) -> None:
        """Let something happen at Stripe, and apply its deliveries."""
        self.live.hands.control(f"stripe/{what}", **how)
        self.live.work()

    def preview(self) -> tuple[int, str]:
        """What our page says a cancellation would refund."""
        found = self.browser.page(f"/bookings/{self.ref}/cancel").one("[data-refund-minor]")
        return int(str(found["data-refund-minor"])), str(found["data-currency"])

    def deliver(self, body: bytes) -> None:
        """Let Stripe deliver that event, and apply it."""
        config = self.live.hands.server.config
        headers = {"Stripe-Signature": signature(body, config.stripe_webhook_secret)}
        url = f"{config.app_url}/webhooks/stripe"
        answer = self.live.hands.http.post(url, data=body, headers=headers, timeout=10)
        assert answer.status_code == 200
        self.live.work()

    # What Stripe knows

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

    # What we know

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
        self.change(starts_at=starts, ends_at=starts + timedelta(hours=1))

    def let_the_hold_end(self) -> None:
        """The hold is over, and the timer that was set for it is due."""
        self.hold_is_over()
        self.hurry("expire:")

    def hold_is_over(self) -> None:
        """The hold is over, and its timer has not fired."""
        self.change(hold_expires_at=utcnow() - timedelta(seconds=1))

    def hurry(self, prefix: str) -> None:
        """Make the jobs due whose key begins so, and run all that is due."""
        due = Job.key.startswith(prefix, autoescape=True)
        with self.live.database() as session, transaction(session):
            session.execute(sa.update(Job).where(due).values(run_at=utcnow() - timedelta(seconds=1)))
        self.live.work()
