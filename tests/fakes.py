"""Both providers as their published formats describe them, for ``responses``: small, with a state of their own.

The application's own clients speak to these, so what is tested is what would be sent and read.
"""

from __future__ import annotations

import itertools
import json
import re
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs, parse_qsl, urlsplit

import requests
import responses

from tests.factories import API, GRACE, published

STRIPE = "https://api.stripe.com"
Reply = tuple[int, dict[str, str], str]


def _json(status: int, data: object, **headers: str) -> Reply:
    return status, {"Content-Type": "application/json", **headers}, json.dumps(data)


def _missing() -> Reply:
    return _json(404, {"error": {"type": "invalid_request_error", "code": "resource_missing"}})


def _list(found: list[dict[str, Any]], path: str) -> Reply:
    return _json(200, {"object": "list", "data": found, "has_more": False, "url": path})


@dataclass
class Stripe:
    """Checkout Sessions, their idempotency keys, refunds, disputes, and payment intents.

    ``sessions`` are Stripe's objects by id; ``seen`` is each request as (method, path). ``fail`` are statuses
    that the next requests are answered with; ``lost`` makes that many creations happen without an answer.
    """

    sessions: dict[str, dict[str, Any]] = field(default_factory=dict)
    refunds: list[dict[str, Any]] = field(default_factory=list)
    disputes: list[dict[str, Any]] = field(default_factory=list)
    intents: list[dict[str, Any]] = field(default_factory=list)
    created: list[dict[str, str]] = field(default_factory=list)
    keys: list[str] = field(default_factory=list)
    seen: list[tuple[str, str]] = field(default_factory=list)
    refuse: list[dict[str, Any]] = field(default_factory=list)
    fail: list[int] = field(default_factory=list)
    lost: int = 0
    _replies: dict[str, tuple[str, Reply]] = field(default_factory=dict)

    def install(self, mock: responses.RequestsMock) -> None:
        """Answer at Stripe's address."""
        anything = re.compile(re.escape(STRIPE) + "/.*")
        for method in (responses.GET, responses.POST):
            mock.add_callback(method, anything, callback=self._answer)

    def pay(self, session_id: str, **how: Any) -> dict[str, Any]:
        """The client has paid on the Checkout page."""
        paid = {"status": "complete", "payment_status": "paid", "url": None, "payment_intent": "pi_1", **how}
        self.sessions[session_id].update(paid)
        return self.sessions[session_id]

    def complete_unpaid(self, session_id: str) -> dict[str, Any]:
        """The client has confirmed with a method that pays days later."""
        return self.pay(session_id, payment_status="unpaid")

    def dispute(self, status: str, reason: str) -> dict[str, Any]:
        """The client disputes the charge with their bank. Stripe's answers follow every change of what is returned."""
        made = {
            "id": "du_1",
            "object": "dispute",
            "payment_intent": "pi_1",
            "status": status,
            "amount": 6000,
            "currency": "gbp",
            "reason": reason,
            "created": 1_764_000_000,
        }
        self.disputes.append(made)
        return made

    def asked(self, method: str, ending: str) -> int:
        """How many requests of that method had a path with that ending."""
        return sum(1 for seen, path in self.seen if seen == method and path.endswith(ending))

    def _answer(self, request: requests.PreparedRequest) -> Reply:
        path = urlsplit(request.url or "").path
        method = request.method or ""
        self.seen.append((method, path))
        if self.fail:
            return _json(self.fail.pop(0), {"error": {"type": "api_error", "message": "no"}})
        body = request.body if isinstance(request.body, str) else (request.body or b"").decode()
        if method == "POST" and path == "/v1/checkout/sessions":
            return self._create(str(request.headers["Idempotency-Key"]), body)
        query = parse_qs(urlsplit(request.url or "").query)
        if path.startswith("/v1/checkout/sessions/"):
            return self._one(path.removeprefix("/v1/checkout/sessions/"))
        return self._read(path, query)

    def _read(self, path: str, query: dict[str, list[str]]) -> Reply:
        if path == "/v1/checkout/sessions":
            return _list([one for one in self.sessions.values() if one["status"] == query["status"][0]], path)
        collection, _, wanted = path.removeprefix("/v1/").partition("/")
        kept = {"refunds": self.refunds, "disputes": self.disputes, "payment_intents": self.intents}
        objects = kept.get(collection, [])
        if not wanted and collection in kept:
            intent = query["payment_intent"][0]
            return _list([one for one in objects if one["payment_intent"] == intent], path)
        found = next((one for one in objects if one["id"] == wanted), None)
        return _json(200, found) if found else _missing()

    def _create(self, key: str, body: str) -> Reply:
        self.keys.append(key)
        if key in self._replies:
            known, reply = self._replies[key]
            self._maybe_lose()
            other = {"error": {"type": "idempotency_error", "message": "other parameters"}}
            return reply if known == body else _json(400, other)
        if self.refuse:
            reply = _json(400, {"error": {"type": "invalid_request_error", **self.refuse.pop(0)}})
            self._replies[key] = body, reply
            return reply
        sent = dict(parse_qsl(body))
        made = published("stripe/checkout_session.open.json")
        made["id"] = f"cs_test_{len(self.sessions) + 1:020}"
        made["url"] = f"https://checkout.stripe.com/c/pay/{made['id']}"
        made["amount_total"] = int(sent["line_items[0][price_data][unit_amount]"])
        made["currency"] = sent["line_items[0][price_data][currency]"]
        made["client_reference_id"] = sent["client_reference_id"]
        made["expires_at"] = int(sent["expires_at"])
        made["metadata"] = {name[9:-1]: sent[name] for name in sent if name.startswith("metadata[")}
        self.sessions[made["id"]] = made
        self.created.append(sent)
        reply = _json(200, made)
        self._replies[key] = body, reply
        self._maybe_lose()
        return reply

    def _maybe_lose(self) -> None:
        if self.lost:
            self.lost -= 1
            raise requests.ConnectionError("the answer is lost")

    def _one(self, rest: str) -> Reply:
        session_id, _, action = rest.partition("/")
        found = self.sessions.get(session_id)
        if found is None:
            return _missing()
        if action == "expire":
            if found["status"] != "open":
                return _json(400, {"error": {"type": "invalid_request_error", "message": "not open"}})
            found.update(status="expired", url=None)
        return _json(200, found)


@dataclass
class Calendly:
    """Event types, scheduled events and invitees, and the cancellation of events.

    ``event_types`` are by user URI; ``seen`` is each request as (method, path). ``down`` answers 503, ``status`` that.
    """

    event_types: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    events: dict[str, dict[str, Any]] = field(default_factory=dict)
    invitees: dict[str, dict[str, Any]] = field(default_factory=dict)
    seen: list[tuple[str, str]] = field(default_factory=list)
    down: bool = False
    status: int | None = None
    trouble: dict[str, Any] = field(default_factory=dict)

    def install(self, mock: responses.RequestsMock) -> None:
        """Answer at Calendly's address."""
        anything = re.compile(re.escape(API) + "/.*")
        for method in (responses.GET, responses.POST):
            mock.add_callback(method, anything, callback=self._answer)

    def add_type(self, user: str, uri: str, **how: Any) -> dict[str, Any]:
        """One more event type of that user."""
        made = {**published("calendly/event_types.page1.json")["collection"][0], "uri": uri, **how}
        self.event_types.setdefault(user, []).append(made)
        return made

    def add_invitee(
        self,
        event_uri: str,
        invitee_uri: str,
        *,
        event_type: str,
        utm_content: str | None = None,
        event: dict[str, Any] | None = None,
        **how: Any,
    ) -> None:
        """A scheduled event with one invitee."""
        made = published("calendly/scheduled_event.json")["resource"]
        made.update(uri=event_uri, event_type=event_type, **(event or {}))
        self.events[urlsplit(event_uri).path] = made
        invitee = published("calendly/invitee.json")["resource"]
        invitee.update(uri=invitee_uri, event=event_uri, **{**GRACE, **how})
        invitee["tracking"]["utm_content"] = utm_content
        self.invitees[urlsplit(invitee_uri).path] = invitee

    def asked(self, method: str, ending: str) -> int:
        """How many requests of that method had a path with that ending."""
        return sum(1 for seen, path in self.seen if seen == method and path.endswith(ending))

    def _answer(self, request: requests.PreparedRequest) -> Reply:
        url = urlsplit(request.url or "")
        method = request.method or ""
        self.seen.append((method, url.path))
        if self.down or self.status:
            return _json(self.status or 503, {"title": "Trouble", "message": "no", **self.trouble})
        if url.path == "/event_types":
            found = self.event_types.get(parse_qs(url.query)["user"][0], [])
            return _json(200, {"collection": found, "pagination": {"next_page_token": None}})
        if method == "POST" and url.path.endswith("/cancellation"):
            event = self.events.get(url.path.removesuffix("/cancellation"))
            if event is not None:
                event["status"] = "canceled"
                return _json(201, published("calendly/cancellation.json"))
        if url.path.endswith("/invitees"):
            of_event = [one for path, one in self.invitees.items() if path.startswith(f"{url.path}/")]
            return _json(200, {"collection": of_event, "pagination": {"next_page_token": None}})
        types = {urlsplit(one["uri"]).path: one for one in itertools.chain(*self.event_types.values())}
        found_one = self.events.get(url.path) or self.invitees.get(url.path) or types.get(url.path)
        if found_one is not None:
            return _json(200, {"resource": found_one})
        return _json(404, {"title": "Resource Not Found", "message": "The server could not find it."})
