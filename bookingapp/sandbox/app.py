"""The sandbox as one WSGI application, and the server that runs it."""

from __future__ import annotations

import signal
import socket
import threading
import time
from dataclasses import replace
from http import HTTPStatus
from pathlib import Path
from typing import TYPE_CHECKING, Any

from flask import Flask, Response, g, jsonify, render_template, request, send_from_directory
from werkzeug.exceptions import HTTPException
from werkzeug.serving import BaseWSGIServer, WSGIRequestHandler, make_server

from bookingapp.sandbox.calendly import api as calendly_api
from bookingapp.sandbox.calendly import booking_pages, change_pages
from bookingapp.sandbox.calendly import oauth as calendly_oauth
from bookingapp.sandbox.context import Sandbox, current_sandbox
from bookingapp.sandbox.control import calendly as control_calendly
from bookingapp.sandbox.control import pages as control_pages
from bookingapp.sandbox.control import stripe as control_stripe
from bookingapp.sandbox.deliveries import Deliveries
from bookingapp.sandbox.faults import Faults, RequestLog, provider_of, surface_of
from bookingapp.sandbox.seed import seed
from bookingapp.sandbox.store import Store
from bookingapp.sandbox.stripe import api as stripe_api
from bookingapp.sandbox.stripe import checkout_page
from bookingapp.sandbox.ticker import Ticker

if TYPE_CHECKING:
    from bookingapp.sandbox.config import SandboxConfig

_SURFACES = (
    calendly_api,
    calendly_oauth,
    stripe_api,
    checkout_page,
    control_pages,
    control_calendly,
    control_stripe,
    change_pages,
    booking_pages,
)
_PACKAGE = Path(__file__).resolve().parent.parent
_PAGE_POLICY = "default-src 'self'; base-uri 'none'; object-src 'none'"


def create_sandbox(config: SandboxConfig) -> Flask:
    """Assemble the sandbox, fill an empty state, and begin to deliver webhooks."""
    app = Flask(
        "bookingapp.sandbox",
        template_folder=str(_PACKAGE / "templates" / "sandbox"),
        static_folder=str(_PACKAGE / "static" / "sandbox"),
        static_url_path="/static",
    )
    app.url_map.strict_slashes = False
    store = Store(config.state_path)
    faults = Faults(store)
    sandbox = Sandbox(config, store, Deliveries(store, config, faults), faults, RequestLog())
    app.extensions["sandbox"] = sandbox
    seed(store, config)
    app.before_request(_strike)
    app.after_request(_record)
    app.register_error_handler(HTTPException, _explain)
    app.add_url_rule("/healthz", view_func=_healthz)
    app.add_url_rule("/calendly-assets/assets/external/<path:name>", view_func=_widget)
    for module in _SURFACES:
        app.register_blueprint(module.blueprint)
    ticker = app.extensions["sandbox_ticker"] = Ticker(sandbox)
    ticker.start()
    sandbox.deliveries.start()
    return app


def close_sandbox(app: Flask) -> None:
    """Stop the deliveries and let go of the state; what is unsent goes out after the next start."""
    sandbox: Sandbox = app.extensions["sandbox"]
    ticker: Ticker = app.extensions["sandbox_ticker"]
    ticker.stop()
    sandbox.faults.clear_waiting()
    sandbox.deliveries.stop()
    sandbox.store.close()


def _strike() -> Response | None:
    """Let the ordered troubles happen, before the request is looked at."""
    g.began = time.monotonic()
    faults = current_sandbox().faults
    for fault in faults.take_for_request(request.path, request.method):
        if fault["kind"] == "latency" and request.blueprint == "stripe_api":
            # Stripe is slow in carrying out: by then the idempotency key is taken.
            g.stripe_latency = fault["seconds"]
        elif fault["kind"] == "latency":
            time.sleep(fault["seconds"])
        elif fault["kind"] == "hang":
            faults.hang(fault)
            return _cut_off(Response(status=504))
        elif fault["kind"] == "lost_answer":
            g.lose_answer = True
        else:
            return _failure(int(fault["kind"]))
    return None


def _failure(status: int) -> Response:
    """An ordered 429 or 500, in the words of the provider that it strikes."""
    is_limit, is_stripe = status == HTTPStatus.TOO_MANY_REQUESTS, provider_of(request.path) == "stripe"
    body: dict[str, Any]
    if is_stripe and is_limit:
        message = "Too many requests hit the API too quickly."
        body = {"error": {"type": "invalid_request_error", "code": "rate_limit", "message": message}}
    elif is_stripe:
        body = {"error": {"type": "api_error", "message": "An error occurred on our side."}}
    elif is_limit:
        body = {"title": "Too Many Requests", "message": "The rate limit for this token was reached."}
    else:
        message = (
            "The server encountered an unexpected condition that prevented it from fulfilling the request."
        )
        body = {"title": "Internal Server Error", "message": message}
    response = jsonify(body)
    response.status_code = status
    if not is_stripe:
        response.headers["X-RateLimit-Limit"] = "500"
        response.headers["X-RateLimit-Remaining"] = "0" if is_limit else "499"
        response.headers["X-RateLimit-Reset"] = "60"
    return response


def _cut_off(response: Response) -> Response:
    """Close the connection without an answer, as a broken network does."""
    connection = request.environ.get("werkzeug.socket")
    if isinstance(connection, socket.socket):
        connection.shutdown(socket.SHUT_RDWR)
    return response


def _record(response: Response) -> Response:
    if request.endpoint != "static":
        current_sandbox().requests.add(
            provider=surface_of(request.path),
            method=request.method,
            path=request.path,
            status=response.status_code,
            seconds=time.monotonic() - g.get("began", time.monotonic()),
        )
    if response.mimetype == "text/html":
        response.headers["Content-Security-Policy"] = _PAGE_POLICY
        response.headers["Cache-Control"] = "no-store"
        response.headers["Referrer-Policy"] = "strict-origin-when-cross-origin"
    response.headers["X-Content-Type-Options"] = "nosniff"
    return _cut_off(response) if g.get("lose_answer") else response


def _explain(error: HTTPException) -> tuple[str | Response, int]:
    """Every other refusal, in the manner of the surface it happened on."""
    code = error.code or 500
    if request.path.startswith("/calendly-api"):
        body = {"title": "Resource Not Found", "message": "The server could not find the requested resource."}
        return jsonify(body), code
    if request.path.startswith("/stripe-api"):
        message = f"Unrecognized request URL ({request.method}: {request.path.removeprefix('/stripe-api')})."
        return jsonify({"error": {"type": "invalid_request_error", "message": message}}), code
    if request.path.startswith("/control/api"):
        return jsonify({"error": error.description or error.name}), code
    title, text = {
        404: ("This page is not here", "The calendar may be unavailable, or the address mistyped."),
        410: ("This link has been used", "It was good for one booking, and that booking has been made."),
    }.get(code, (error.name, error.description or ""))
    return render_template("problem.html", title=title, text=text), code


def _healthz() -> Response:
    return jsonify({"status": "ok"})


def _widget(name: str) -> Response:
    """Calendly's two public assets; anyone may load them from anywhere."""
    if name not in {"widget.js", "widget.css"}:
        return Response(status=404)
    response = send_from_directory(_PACKAGE / "static" / "sandbox" / "calendly", name)
    response.headers["Access-Control-Allow-Origin"] = "*"
    response.headers["Cross-Origin-Resource-Policy"] = "cross-origin"
    return response


class _QuietHandler(WSGIRequestHandler):
    """HTTP/1.1 with keep-alive, no line per request, and no waiting for more to send."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
        """Say nothing: the control page has the log."""


class SandboxServer:
    """A sandbox on an address of its own; port 0 takes a free one."""

    def __init__(self, config: SandboxConfig, host: str = "127.0.0.1", port: int = 0) -> None:
        self._server: BaseWSGIServer = make_server(
            host, port, Flask("bookingapp.sandbox.starting"), threaded=True, request_handler=_QuietHandler
        )
        self.port: int = self._server.port
        self.config = replace(config, base_url=config.base_url or f"http://{host}:{self.port}")
        self.app = create_sandbox(self.config)
        self._server.app = self.app
        self._thread: threading.Thread | None = None

    @property
    def sandbox(self) -> Sandbox:
        """The state and everything around it."""
        found: Sandbox = self.app.extensions["sandbox"]
        return found

    def serve(self) -> None:
        """Answer requests until :meth:`stop` is called from another thread."""
        self._server.serve_forever(poll_interval=0.02)

    def start(self) -> SandboxServer:
        """Answer requests from a thread."""
        self._thread = threading.Thread(target=self.serve, name="sandbox", daemon=True)
        self._thread.start()
        return self

    def stop(self) -> None:
        """End, and free the address; the state stays on disk."""
        self._server.shutdown()
        if self._thread is not None:
            self._thread.join(timeout=5)
        self._server.server_close()
        close_sandbox(self.app)


def serve_sandbox(config: SandboxConfig, host: str, port: int) -> None:
    """Run a sandbox in the foreground until Ctrl-C or SIGTERM."""
    server = SandboxServer(config, host, port).start()
    ended = threading.Event()
    for name in (signal.SIGINT, signal.SIGTERM):
        signal.signal(name, lambda *_: ended.set())
    try:
        ended.wait()
    finally:
        server.stop()
