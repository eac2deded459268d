"""A receiver of webhooks, and small hands for driving a sandbox."""

from __future__ import annotations

import hashlib
import hmac
import json
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, TypeVar

import requests
from bs4 import BeautifulSoup, Tag

from bookingapp.sandbox import SandboxServer
from tests.waiting import eventually

TOKEN = {"Authorization": "Bearer sandbox-calendly-token"}
ADA, HOUR = "SBXADAOKONKWO001", "ETADACONSULT0060"
T = TypeVar("T")


@dataclass
class Received:
    """One webhook as it arrived."""

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
    """The booking app's place: answers every webhook with the next of ``statuses``, else with 200.

    A browser that comes to ``/`` is shown ``page``.
    """

    statuses: list[int] = field(default_factory=list)
    always: int = 200
    received: list[Received] = field(default_factory=list)
    page: str = ""
    headers: dict[str, str] = field(default_factory=dict)
    visited: list[str] = field(default_factory=list)
    url: str = ""

    def wait_for(self, *events: str) -> list[Received]:
        """The webhooks so far, once these events are among them in this order."""

        def probe() -> list[Received] | None:
            names = iter([each.event for each in self.received])
            return list(self.received) if all(event in names for event in events) else None

        return eventually(probe, f"webhooks {events}, got {[each.event for each in self.received]}")

    def of(self, event: str) -> list[Received]:
        return [each for each in self.received if each.event == event]


def start_receiver() -> tuple[Receiver, Callable[[], None]]:
    """A receiver on a free port, and how to end it."""
    receiver = Receiver()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            status = receiver.statuses.pop(0) if receiver.statuses else receiver.always
            receiver.received.append(Received(self.path, dict(self.headers), body))
            self.send_response(status)
            if 300 <= status < 400:
                self.send_header("Location", "/elsewhere")
            self.send_header("Content-Length", "0")
            self.end_headers()

        def do_GET(self) -> None:
            receiver.visited.append(self.path)
            body = receiver.page.encode() if self.path == "/" else b"<!doctype html><title>elsewhere</title>"
            self.send_response(200)
            for name, value in {"Content-Type": "text/html", **receiver.headers}.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base class's name.
            del format, args

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    receiver.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()

    def stop() -> None:
        server.shutdown()
        server.server_close()
        thread.join(timeout=5)

    return receiver, stop


def signed_parts(header: str) -> dict[str, str]:
    """``t=…,v1=…`` as a map."""
    return dict(part.split("=", 1) for part in header.split(","))


def hex_hmac(key: str, message: bytes) -> str:
    """HMAC-SHA256 in lower-case hexadecimal."""
    return hmac.new(key.encode(), message, hashlib.sha256).hexdigest()


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

    def get(self, path: str, **params: Any) -> requests.Response:
        """GET from the Calendly API with the platform's token."""
        url = path if path.startswith("http") else f"{self.api}{path}"
        return self.http.get(url, params=params, headers=TOKEN, timeout=10)

    def post(self, path: str, body: Any = None) -> requests.Response:
        """POST JSON to the Calendly API with the platform's token."""
        return self.http.post(f"{self.api}{path}", json=body, headers=TOKEN, timeout=10)

    def control(self, path: str, **body: Any) -> Any:
        """POST to the control surface; the JSON answer."""
        response = self.http.post(f"{self.base}/control/api/{path}", json=body, timeout=10)
        assert response.status_code == 200, response.text
        return response.json()

    def slots(self, event_type: str = HOUR, days: int = 20) -> list[dict[str, Any]]:
        """The free times of a type from now on."""
        now = datetime.now(UTC)
        response = self.get(
            "/event_type_available_times",
            event_type=self.event_type(event_type),
            start_time=(now + timedelta(minutes=1)).isoformat(),
            end_time=(now + timedelta(days=days)).isoformat(),
        )
        assert response.status_code == 200, response.text
        found: list[dict[str, Any]] = response.json()["collection"]
        return found

    def page(self, url: str) -> BeautifulSoup:
        """A page of the sandbox, parsed."""
        response = self.http.get(url if url.startswith("http") else f"{self.base}{url}", timeout=10)
        assert response.status_code == 200, f"{response.status_code} {url}"
        return BeautifulSoup(response.text, "html.parser")

    def submit(self, page: BeautifulSoup, url: str, **values: str) -> requests.Response:
        """Fill in the page's form and send it, as a browser without JavaScript does."""
        form = page.select_one("form[method=post]")
        assert isinstance(form, Tag)
        fields = {
            str(each["name"]): str(each.get("value", ""))
            for each in form.select("input[name]:not([type=radio])")
        }
        missing = set(values) - set(fields) - {str(each["name"]) for each in form.select("[name]")}
        assert not missing, f"the form has no field {missing}"
        action = str(form.get("action") or url)
        target = action if action.startswith("http") else f"{self.base}{action}"
        return self.http.post(target, data={**fields, **values}, allow_redirects=False, timeout=15)
