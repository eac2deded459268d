"""Delivery of webhooks: queued in the state, sent in order by one thread per provider, retried."""

from __future__ import annotations

import os
import sqlite3
import threading
import time
from typing import Any

import requests

from bookingapp.sandbox.clock import new_uuid, now_iso
from bookingapp.sandbox.config import SandboxConfig
from bookingapp.sandbox.faults import Faults
from bookingapp.sandbox.signatures import calendly_signature, stripe_signature
from bookingapp.sandbox.store import Document, Store

# To connect and to read (Calendly docs, Webhook Timeouts).
TIMEOUTS = (10.0, 15.0)
LONGEST_HOLD_SECONDS = 30.0
IDLE_SECONDS = 0.5
_OK, _REDIRECT = 200, 300
_TARGET_KINDS = {"calendly": "subscription", "stripe": "webhook_endpoint"}


class Deliveries:
    """The outgoing webhooks of both providers.

    Success is any 2xx. Everything else, redirects and timeouts included, is a failure and is retried after
    each pause of ``config.deliver_retry_seconds``, each time with a new timestamp and signature. After the
    last pause the delivery fails, and Calendly disables the subscription too (Calendly docs, Webhook Errors;
    Stripe docs, Webhooks, Retry behavior).
    """

    def __init__(self, store: Store, config: SandboxConfig, faults: Faults) -> None:
        self._store = store
        self._config = config
        self._faults = faults
        self._changed = threading.Condition()
        self._changes = 0
        self._stopped = False
        self._threads: list[threading.Thread] = []

    def start(self) -> None:
        """Start sending, first what an earlier run did not send."""
        for provider in ("calendly", "stripe"):
            thread = threading.Thread(
                target=self._run, args=(provider,), name=f"{provider}-webhooks", daemon=True
            )
            self._threads.append(thread)
            thread.start()

    def stop(self) -> None:
        """Finish the current attempt and stop sending; the rest stays queued."""
        self._stopped = True
        self._wake()
        for thread in self._threads:
            thread.join(timeout=2)

    def enqueue(self, *, provider: str, target: str, url: str, event: str, about: str, body: str) -> Document:
        """Queue one webhook inside the caller's transaction, and apply the active faults to it."""
        now = time.time()
        faults = {fault["kind"]: fault for fault in self._faults.use_for_delivery(provider)}
        held = self._store.all("delivery", state="held", provider=provider)
        order = self._store.setting("delivery_order", 0) + 1
        self._store.set_setting("delivery_order", order)
        row: Document = {
            "id": new_uuid(),
            "provider": provider,
            "target": target,
            "url": url,
            "event": event,
            "about": about,
            "body": body,
            "state": "pending",
            "order": float(order),
            "attempts": [],
            "next_attempt_at": now,
            "created_at": now_iso(),
        }
        if "delay" in faults:
            row["next_attempt_at"] = now + faults["delay"]["seconds"]
        if "drop" in faults:
            row["state"] = "dropped"
        elif "reorder" in faults and not held:
            row.update(state="held", next_attempt_at=now + LONGEST_HOLD_SECONDS)
        self._store.put("delivery", row["id"], row)
        for earlier in held:
            self._release(earlier, order + 0.5)
        if "duplicate" in faults:
            copy = {**row, "id": new_uuid(), "order": order + 0.25}
            self._store.put("delivery", copy["id"], copy)
        self._wake()
        return row

    def resend(self, identifier: str) -> Document | None:
        """Queue the same body again, as a person does in a dashboard; None for an unknown identifier."""
        with self._store.transaction():
            row = self._store.get("delivery", identifier)
            if row is None:
                return None
            again = {
                **row,
                "id": new_uuid(),
                "state": "pending",
                "attempts": [],
                "next_attempt_at": time.time(),
                "created_at": now_iso(),
            }
            self._store.put("delivery", again["id"], again)
        self._wake()
        return again

    def retry_now(self) -> int:
        """Make every waiting or held delivery due now; their number."""
        with self._store.transaction():
            rows = [row for state in ("pending", "held") for row in self._store.all("delivery", state=state)]
            for row in rows:
                self._release(row, row["order"])
        self._wake()
        return len(rows)

    def wait_for_attempts(self, identifiers: list[str], seconds: float) -> None:
        """Block until each of the deliveries has had one attempt, or the seconds are over."""
        deadline = time.monotonic() + seconds
        while (left := deadline - time.monotonic()) > 0:
            known = self._changes
            # Read outside of the condition: a thread that notifies may hold the store's lock at that moment.
            if not any(map(self._awaits_attempt, identifiers)):
                return
            with self._changed:
                if self._changes == known:
                    self._changed.wait(min(left, IDLE_SECONDS))

    def idle(self) -> bool:
        """Whether nothing is due: all delivered, failed, or waiting for a later attempt."""
        return not any(map(_is_due, self._store.all("delivery", state="pending")))

    def _awaits_attempt(self, identifier: str) -> bool:
        row = self._store.get("delivery", identifier)
        return row is not None and row["state"] == "pending" and not row["attempts"] and _is_due(row)

    def _release(self, row: Document, order: float) -> None:
        self._store.put(
            "delivery", row["id"], {**row, "state": "pending", "order": order, "next_attempt_at": time.time()}
        )

    def _wake(self) -> None:
        with self._changed:
            self._changes += 1
            self._changed.notify_all()

    def _run(self, provider: str) -> None:
        session = requests.Session()
        # Requests go to the app directly, not through a proxy that the environment names.
        session.trust_env = False
        session.verify = os.environ.get("REQUESTS_CA_BUNDLE") or True
        with session:
            while not self._stopped:
                try:
                    row, pause = self._next(provider)
                    if row is not None:
                        self._attempt(session, row)
                except sqlite3.ProgrammingError:
                    # The state was closed during the attempt: the next start repeats it.
                    return
                if row is None:
                    with self._changed:
                        self._changed.wait(pause)

    def _next(self, provider: str) -> tuple[Document | None, float]:
        """The first due delivery, and the seconds until another may be due."""
        with self._store.transaction():
            for row in filter(_is_due, self._store.all("delivery", state="held", provider=provider)):
                self._release(row, row["order"])
            waiting = self._store.all("delivery", state="pending", provider=provider)
        first = min(filter(_is_due, waiting), key=lambda row: float(row["order"]), default=None)
        pause = min((row["next_attempt_at"] - time.time() for row in waiting), default=IDLE_SECONDS)
        return first, max(0.01, min(pause, IDLE_SECONDS))

    def _attempt(self, session: requests.Session, row: Document) -> None:
        target = self._store.get(_TARGET_KINDS[row["provider"]], row["target"])
        if target is None or "disabled" in (target.get("state"), target.get("status")):
            self._store.put("delivery", row["id"], {**row, "state": "dropped"})
            self._wake()
            return
        body = row["body"].encode()
        began = time.monotonic()
        status, error = 0, ""
        try:
            response = session.post(
                row["url"],
                data=body,
                headers=_headers(row["provider"], target, body),
                timeout=TIMEOUTS,
                allow_redirects=False,
            )
            status = response.status_code
        except requests.RequestException as failure:
            error = type(failure).__name__
        seconds = round(time.monotonic() - began, 3)
        attempt = {"at": now_iso(), "status": status, "error": error, "seconds": seconds}
        with self._store.transaction():
            self._record_attempt(row, attempt, delivered=_OK <= status < _REDIRECT)
        self._wake()

    def _record_attempt(self, row: Document, attempt: dict[str, Any], *, delivered: bool) -> None:
        row = {**row, "attempts": [*row["attempts"], attempt]}
        pauses = self._config.deliver_retry_seconds
        if delivered:
            row["state"] = "delivered"
        elif len(row["attempts"]) > len(pauses):
            row["state"] = "failed"
        else:
            row["next_attempt_at"] = time.time() + pauses[len(row["attempts"]) - 1]
        self._store.put("delivery", row["id"], row)
        if row["provider"] == "calendly":
            self._update_subscription(row)

    def _update_subscription(self, row: Document) -> None:
        subscription = self._store.get("subscription", row["target"])
        if subscription is None:
            return
        pending = self._store.all("delivery", state="pending", target=row["target"])
        failing = any(other["attempts"] for other in pending)
        if row["state"] == "failed":
            subscription["state"] = "disabled"
        if failing and subscription["retry_started_at"] is None:
            subscription["retry_started_at"] = now_iso()
        elif not failing and row["state"] == "delivered":
            subscription["retry_started_at"] = None
        subscription["updated_at"] = now_iso()
        self._store.put("subscription", subscription["id"], subscription)


def _is_due(row: Document) -> bool:
    return bool(row["next_attempt_at"] <= time.time())


def _headers(provider: str, target: Document, body: bytes) -> dict[str, str]:
    if provider == "stripe":
        return {
            "Content-Type": "application/json; charset=utf-8",
            "User-Agent": "Stripe/1.0 (+https://stripe.com/docs/webhooks)",
            "Stripe-Signature": stripe_signature(target["secret"], body),
        }
    headers = {"Content-Type": "application/json", "User-Agent": "Calendly"}
    if target["signing_key"]:
        headers["Calendly-Webhook-Signature"] = calendly_signature(target["signing_key"], body)
    return headers
