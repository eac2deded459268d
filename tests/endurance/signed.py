"""Deliveries as the providers sign them, made by hand and sent over HTTP."""

from __future__ import annotations

import json
import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

import requests
import sqlalchemy as sa

from bookingapp.cli.processes import SANDBOX_SECRETS
from bookingapp.webhooks.models import InboxEvent
from tests.e2e.stack import Stack
from tests.factories import published, signature, stripe_event

SECRETS = {
    "calendly": SANDBOX_SECRETS["CALENDLY_WEBHOOK_SIGNING_KEYS"],
    "stripe": SANDBOX_SECRETS["STRIPE_WEBHOOK_SECRETS"],
}
HEADERS = {"calendly": "Calendly-Webhook-Signature", "stripe": "Stripe-Signature"}


@dataclass(frozen=True)
class Delivery:
    """One genuine body, and something in it that no other has."""

    provider: str
    mark: str
    body: bytes

    def send(self, url: str) -> requests.Response:
        """Deliver it, freshly signed, over a connection of its own."""
        headers = {
            HEADERS[self.provider]: signature(self.body, SECRETS[self.provider]),
            "Content-Type": "application/json",
        }
        with requests.Session() as http:
            http.trust_env = False
            return http.post(f"{url}/webhooks/{self.provider}", data=self.body, headers=headers, timeout=20)

    def kept(self, stack: Stack) -> list[Any]:
        query = sa.select(InboxEvent.id, InboxEvent.state, InboxEvent.attempts, InboxEvent.finished_at)
        return stack.query(query.where(InboxEvent.body == self.body))


def stranger_canceled() -> Delivery:
    """A cancellation in Calendly of an event that was not booked here: it is ignored."""
    mark, data = uuid4().hex, published("calendly/invitee.canceled.json")
    event = f"https://api.calendly.com/scheduled_events/{mark}"
    data["payload"].update(uri=f"{event}/invitees/{mark}", event=event)
    return Delivery("calendly", mark, json.dumps(data).encode())


def payment_begun() -> Delivery:
    """Something of Stripe's that we do not act on."""
    mark = f"evt_{uuid4().hex}"
    intent = published("stripe/payment_intent.json")
    return Delivery("stripe", mark, stripe_event("payment_intent.created", intent, id_=mark))


def send_at_once(delivery: Delivery, urls: Sequence[str], count: int) -> list[requests.Response]:
    """The same one so many times at the same moment, to each address in turn."""
    together = threading.Barrier(count)

    def send(number: int) -> requests.Response:
        together.wait(timeout=20)
        return delivery.send(urls[number % len(urls)])

    with ThreadPoolExecutor(count) as threads:
        return list(threads.map(send, range(count)))
