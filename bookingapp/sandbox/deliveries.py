"""Webhooks on their way: queued in the state, sent in order by one thread per provider, retried."""

from __future__ import annotations

import sqlite3
import threading
import time
from typing import TYPE_CHECKING, Any

import requests

from bookingapp.sandbox.clock import new_uuid, now_iso
from bookingapp.sandbox.signatures import calendly_signature, stripe_signature

if TYPE_CHECKING:
    from bookingapp.sandbox.config import SandboxConfig
    from bookingapp.sandbox.faults import Faults
    from bookingapp.sandbox.store import Document, Store

TIMEOUTS = (10.0, 15.0)
HELD_AT_MOST = 30.0
IDLE_SECONDS = 0.5
_OK, _REDIRECT = 200, 300


class Deliveries:
    """The outgoing webhooks of both providers.

    Success is any 2xx. Everything else, redirects and time-outs included, is a failure and is tried again
    after each pause of ``config.deliver_retry_seconds``, each time with a fresh timestamp and signature.
    When the pauses are used up a Calendly subscription is disabled; a Stripe delivery is given up alone.
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
        """Begin to send, with whatever an earlier run left unsent first."""
        for provider in ("calendly", "stripe"):
            thread = threading.Thread(
                target=self._run, args=(provider,), name=f"{provider}-webhooks", daemon=True
            )
            self._threads.append(thread)
            thread.start()

    def stop(self) -> None:
        """Finish the attempt under way and send no more; the rest stays queued."""
        self._stopped = True
        self._wake()
        for thread in self._threads:
            thread.join(timeout=2)

    def enqueue(self, *, provider: str, target: str, url: str, event: str, about: str, body: str) -> Document:
        """Queue one webhook, with the troubles that are ordered for it, inside the caller's transaction."""
        now = time.time()
        struck = {fault["kind"]: fault for fault in self._faults.take_for_delivery(provider)}
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
        if "delay" in struck:
            row["next_attempt_at"] = now + struck["delay"]["seconds"]
        if "drop" in struck:
            row["state"] = "dropped"
        elif "reorder" in struck and not held:
            row["state"] = "held"
            row["next_attempt_at"] = now + HELD_AT_MOST
        self._store.put("delivery", row["id"], row)
        for earlier in held:
            self._release(earlier, order + 0.5)
        if "duplicate" in struck:
            twin = {**row, "id": new_uuid(), "order": order + 0.25}
            self._store.put("delivery", twin["id"], twin)
        self._wake()
        return row

    def resend(self, identifier: str) -> Document | None:
        """Send the same body once more, as a person would from a dashboard."""
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
        """Make every waiting delivery due at once; how many there were."""
        with self._store.transaction():
            rows = self._store.all("delivery", state="pending")
            for row in rows:
                self._store.put("delivery", row["id"], {**row, "next_attempt_at": time.time()})
            for row in self._store.all("delivery", state="held"):
                self._release(row, row["order"])
                rows.append(row)
        self._wake()
        return len(rows)

    def wait_for_answer(self, identifiers: list[str], seconds: float) -> None:
        """Block until each of the deliveries has been tried once, or the seconds are over."""
        deadline = time.monotonic() + seconds
        while (left := deadline - time.monotonic()) > 0:
            seen = self._changes
            # Looked at without the condition: whoever tells of a change may hold the state at that moment.
            if not any(map(self._untried, identifiers)):
                return
            with self._changed:
                if self._changes == seen:
                    self._changed.wait(min(left, IDLE_SECONDS))

    def idle(self) -> bool:
        """Whether nothing is due: all sent, given up, or waiting for a later attempt."""
        return not any(
            row["next_attempt_at"] <= time.time() for row in self._store.all("delivery", state="pending")
        )

    def _untried(self, identifier: str) -> bool:
        row = self._store.get("delivery", identifier)
        if row is None or row["state"] != "pending" or row["attempts"]:
            return False
        return bool(row["next_attempt_at"] <= time.time())

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
        # The sandbox speaks to the app directly, whatever proxies the machine knows of.
        session.trust_env = False
        with session:
            while not self._stopped:
                try:
                    row, pause = self._next(provider)
                    if row is not None:
                        self._attempt(session, row)
                except sqlite3.ProgrammingError:
                    # The state was closed while an answer was awaited: the next start tries again.
                    return
                if row is None:
                    with self._changed:
                        self._changed.wait(pause)

    def _next(self, provider: str) -> tuple[Document | None, float]:
        """The delivery that is due, or the seconds until one may be."""
        now = time.time()
        with self._store.transaction():
            for row in self._store.all("delivery", state="held", provider=provider):
                if row["next_attempt_at"] <= now:
                    self._release(row, row["order"])
            waiting = self._store.all("delivery", state="pending", provider=provider)
        due = [row for row in waiting if row["next_attempt_at"] <= now]
        first = min(due, key=lambda row: float(row["order"]), default=None)
        until = min((row["next_attempt_at"] - now for row in waiting), default=IDLE_SECONDS)
        return first, max(0.01, min(until, IDLE_SECONDS))

    def _attempt(self, session: requests.Session, row: Document) -> None:
        target = self._store.get(_TARGET_KIND[row["provider"]], row["target"])
        if target is None or target.get("state") == "disabled" or target.get("status") == "disabled":
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
        attempt = {
            "at": now_iso(),
            "status": status,
            "error": error,
            "seconds": round(time.monotonic() - began, 3),
        }
        with self._store.transaction():
            self._record(row, attempt, delivered=_OK <= status < _REDIRECT)
        self._wake()

    def _record(self, row: Document, attempt: dict[str, Any], *, delivered: bool) -> None:
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
            self._mark_subscription(row)

    def _mark_subscription(self, row: Document) -> None:
        subscription = self._store.get("subscription", row["target"])
        if subscription is None:
            return
        failing = [
            other
            for other in self._store.all("delivery", state="pending", target=row["target"])
            if other["attempts"]
        ]
        if row["state"] == "failed":
            subscription["state"] = "disabled"
        if failing and subscription["retry_started_at"] is None:
            subscription["retry_started_at"] = now_iso()
        elif not failing and row["state"] == "delivered":
            subscription["retry_started_at"] = None
        subscription["updated_at"] = now_iso()
        self._store.put("subscription", subscription["id"], subscription)


_TARGET_KIND = {"calendly": "subscription", "stripe": "webhook_endpoint"}


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
