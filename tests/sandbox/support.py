"""A receiver of webhooks, and what tests do to a sandbox over HTTP. Stripe's SDK is in ``shop``."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

import requests
from bs4 import BeautifulSoup, Tag

from bookingapp.sandbox import SandboxConfig, SandboxServer
from tests.factories import signature
from tests.unit.integrations.stub_server import Answer, Seen, running
from tests.waiting import eventually

TOKEN = {"Authorization": "Bearer sandbox-calendly-token"}
ADA, KENJI, HOUR = "SBXADAOKONKWO001", "SBXKENJIMORI0002", "ETADACONSULT0060"
T = TypeVar("T")


def last_segment(uri: str) -> str:
    return uri.rpartition("/")[2]


@dataclass
class Received:
    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> dict[str, Any]:
        parsed: dict[str, Any] = json.loads(self.body)
        return parsed

    @property
    def event(self) -> str:
        return str(self.json.get("event") or self.json["type"])


@dataclass
class Receiver:
    """The booking app's side: answers webhooks with the next of ``statuses`` or ``always``, and ``/`` with ``page``."""

    statuses: list[int] = field(default_factory=list)
    always: int = 200
    received: list[Received] = field(default_factory=list)
    page: str = ""
    headers: dict[str, str] = field(default_factory=dict)
    url: str = ""

    def respond(self, seen: Seen) -> Answer:
        if seen.method == "GET":
            page = self.page if seen.path == "/" else "<!doctype html><title>elsewhere</title>"
            return 200, {"Content-Type": "text/html", **self.headers}, page.encode()
        status = self.statuses.pop(0) if self.statuses else self.always
        self.received.append(Received(seen.path, seen.headers, seen.body))
        return status, {"Location": "/elsewhere"} if 300 <= status < 400 else {}, b""

    def wait_for(self, *events: str) -> list[Received]:
        """The webhooks so far, once these events are among them in this order."""

        def probe() -> list[Received] | None:
            names = iter([each.event for each in self.received])
            return list(self.received) if all(event in names for event in events) else None

        return eventually(probe, f"webhooks {events}, got {[each.event for each in self.received]}")

    def of(self, event: str) -> list[Received]:
        return [each for each in self.received if each.event == event]

    def payload(self, event: str) -> Any:
        self.wait_for(event)
        return self.of(event)[0].json["payload"]

    def object(self, event: str) -> Any:
        self.wait_for(event)
        return self.of(event)[0].json["data"]["object"]


@contextmanager
def running_receiver() -> Iterator[Receiver]:
    with running() as server:
        receiver = Receiver(url=server.url)
        server.respond = receiver.respond
        yield receiver


def assert_signed_by_calendly(delivery: Received, key: str = "sandbox-calendly-signing-key") -> None:
    """The signature is HMAC-SHA256 over the time and the raw body."""
    header = delivery.headers["Calendly-Webhook-Signature"]
    stamp = int(header.partition(",")[0].removeprefix("t="))
    assert header == signature(delivery.body, key, at=datetime.fromtimestamp(stamp, UTC))


def one(page: Tag, selector: str) -> Tag:
    found = page.select_one(selector)
    assert found is not None, selector
    return found


def _json(response: requests.Response, status: int = 200) -> Any:
    assert response.status_code == status, response.text
    return response.json()


@dataclass
class Hands:
    """What tests do to a sandbox, over HTTP."""

    server: SandboxServer
    http: requests.Session

    @property
    def base(self) -> str:
        return self.server.config.base_url

    @property
    def api(self) -> str:
        return f"{self.base}/calendly-api"

    @property
    def organization(self) -> str:
        return f"{self.api}/organizations/SBXORG0000000001"

    def user(self, identifier: str = ADA) -> str:
        return f"{self.api}/users/{identifier}"

    def event_type(self, identifier: str = HOUR) -> str:
        return f"{self.api}/event_types/{identifier}"

    def _ask(self, method: str, path: str, headers: dict[str, str], **how: Any) -> requests.Response:
        url = path if path.startswith("http") else f"{self.api}{path}"
        return self.http.request(method, url, headers=headers, timeout=10, **how)

    def get(self, path: str, *, headers: dict[str, str] = TOKEN, **params: Any) -> requests.Response:
        return self._ask("GET", path, headers, params=params)

    def post(self, path: str, body: Any = None, headers: dict[str, str] = TOKEN) -> requests.Response:
        return self._ask("POST", path, headers, json=body)

    def resource(self, path: str) -> Any:
        return _json(self.get(path))["resource"]

    def create(self, path: str, **body: Any) -> Any:
        return _json(self.post(path, body), 201)["resource"]

    def delete(self, path: str) -> int:
        return self._ask("DELETE", path, TOKEN).status_code

    def rows(self, path: str, **params: Any) -> Any:
        return _json(self.get(path, **params))["collection"]

    def subscriptions(self) -> Any:
        return self.rows("/webhook_subscriptions", organization=self.organization, scope="organization")

    def book(self, event_type: str = HOUR, **values: Any) -> Any:
        """Book through the control API, by default at the first free time; the invitee."""
        return self.control("calendly/book", event_type=event_type, **values)

    def status(self, path: str) -> int:
        return self.http.get(self._url(path), timeout=10).status_code

    def control(self, path: str, **body: Any) -> Any:
        return _json(self.http.post(f"{self.base}/control/api/{path}", json=body, timeout=10))

    def slots(self, event_type: str = HOUR, days: int = 20) -> list[dict[str, Any]]:
        now = datetime.now(UTC)
        found: list[dict[str, Any]] = self.rows(
            "/event_type_available_times",
            event_type=self.event_type(event_type),
            start_time=(now + timedelta(minutes=1)).isoformat(),
            end_time=(now + timedelta(days=days)).isoformat(),
        )
        return found

    def page(self, url: str) -> BeautifulSoup:
        response = self.http.get(self._url(url), timeout=10)
        assert response.status_code == 200, f"{response.status_code} {url}"
        return BeautifulSoup(response.text, "html.parser")

    def submit(self, page: BeautifulSoup, url: str, **values: str) -> requests.Response:
        """Fill in the page's form and send it, as a browser without JavaScript does."""
        form = one(page, "form[method=post]")
        fields = {
            str(each["name"]): str(each.get("value", ""))
            for each in form.select("input[name]:not([type=radio])")
        }
        missing = set(values) - set(fields) - {str(each["name"]) for each in form.select("[name]")}
        assert not missing, f"the form has no field {missing}"
        target = self._url(str(form.get("action") or url))
        return self.http.post(target, data={**fields, **values}, allow_redirects=False, timeout=15)

    def fill_in(self, url: str, **values: str) -> requests.Response:
        return self.submit(self.page(url), url, **values)

    def first_time(self, url: str) -> str:
        return self._url(str(one(self.page(url), "a.time")["href"]))

    def _url(self, path: str) -> str:
        return path if path.startswith("http") else f"{self.base}{path}"


@contextmanager
def running_sandbox(config: SandboxConfig, port: int = 0) -> Iterator[Hands]:
    """A sandbox on a free port, or on the given one."""
    server = SandboxServer(config, port=port).start()
    with requests.Session() as http:
        yield Hands(server, http)
    server.stop()
