"""The sandbox as one WSGI application, and the server that runs it."""

from __future__ import annotations

import signal
import socket
import threading
import time
from dataclasses import replace
from pathlib import Path

from flask import Flask, Response, g, jsonify, render_template, request, send_from_directory
from werkzeug.exceptions import HTTPException
from werkzeug.serving import BaseWSGIServer, WSGIRequestHandler, make_server

from bookingapp.sandbox.calendly import api as calendly_api
from bookingapp.sandbox.calendly import (
    booking_pages,
    bookings_api,
    change_pages,
    compliance_api,
    inviting,
    oauth,
    subscriptions_api,
)
from bookingapp.sandbox.calendly.http import calendly_fault_response, not_found
from bookingapp.sandbox.config import SandboxConfig
from bookingapp.sandbox.context import Sandbox, current_sandbox
from bookingapp.sandbox.control import api as control_api
from bookingapp.sandbox.control import calendly as control_calendly
from bookingapp.sandbox.control import pages as control_pages
from bookingapp.sandbox.control import stripe as control_stripe
from bookingapp.sandbox.deliveries import Deliveries
from bookingapp.sandbox.faults import Faults, log_name_of, provider_of
from bookingapp.sandbox.request_log import RequestLog
from bookingapp.sandbox.seed import seed
from bookingapp.sandbox.store import Store
from bookingapp.sandbox.stripe import api as stripe_api
from bookingapp.sandbox.stripe import checkout_page
from bookingapp.sandbox.stripe.http import stripe_fault_response
from bookingapp.sandbox.ticker import Ticker

# The API modules of a provider share the blueprint of its ``http`` module.
_MODULES = (
    calendly_api,
    bookings_api,
    compliance_api,
    inviting,
    subscriptions_api,
    oauth,
    stripe_api,
    checkout_page,
    control_pages,
    control_api,
    control_calendly,
    control_stripe,
    change_pages,
    booking_pages,
)
_PACKAGE = Path(__file__).resolve().parent.parent
_PAGE_POLICY = "default-src 'self'; base-uri 'none'; object-src 'none'"


def create_sandbox(config: SandboxConfig) -> Flask:
    """Assemble the sandbox, seed an empty state, and start to deliver webhooks."""
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
    app.before_request(_apply_faults)
    app.after_request(_end_request)
    app.register_error_handler(HTTPException, _render_error)
    app.add_url_rule("/healthz", view_func=_healthz)
    app.add_url_rule(
        "/calendly-assets/assets/external/<any('widget.js', 'widget.css'):name>", view_func=_asset
    )
    for blueprint in dict.fromkeys(module.blueprint for module in _MODULES):
        app.register_blueprint(blueprint)
    ticker = app.extensions["sandbox_ticker"] = Ticker(sandbox)
    ticker.start()
    sandbox.deliveries.start()
    return app


def close_sandbox(app: Flask) -> None:
    """Stop the deliveries and close the state; unsent webhooks go out after the next start."""
    sandbox: Sandbox = app.extensions["sandbox"]
    ticker: Ticker = app.extensions["sandbox_ticker"]
    ticker.stop()
    sandbox.faults.release_hanging()
    sandbox.deliveries.stop()
    sandbox.store.close()


def _apply_faults() -> Response | None:
    """Apply the active faults, before the request is handled."""
    g.began = time.monotonic()
    faults = current_sandbox().faults
    for fault in faults.use_for_request(request.path, request.method):
        if fault["kind"] == "latency" and request.blueprint == "stripe_api":
            # Stripe is slow while it executes a request: by then the idempotency key is in use.
            g.stripe_latency = fault["seconds"]
        elif fault["kind"] == "latency":
            time.sleep(fault["seconds"])
        elif fault["kind"] == "hang":
            faults.hang(fault)
            return _cut_off(Response(status=504))
        elif fault["kind"] == "lost_answer":
            g.lose_answer = True
        else:
            is_stripe = provider_of(request.path) == "stripe"
            respond = stripe_fault_response if is_stripe else calendly_fault_response
            return respond(int(fault["kind"]))
    return None


def _cut_off(response: Response) -> Response:
    """Close the connection without an answer, as a broken network does."""
    connection = request.environ.get("werkzeug.socket")
    if isinstance(connection, socket.socket):
        connection.shutdown(socket.SHUT_RDWR)
    return response


def _end_request(response: Response) -> Response:
    if request.endpoint != "static":
        current_sandbox().requests.add(
            provider=log_name_of(request.path),
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


def _render_error(error: HTTPException) -> tuple[str | Response, int]:
    """An error that no endpoint handles, in the format of the API or page where it happened."""
    code = error.code or 500
    if request.path.startswith("/calendly-api"):
        return jsonify(not_found().body), code
    if request.path.startswith("/stripe-api"):
        message = f"Unrecognized request URL ({request.method}: {request.path.removeprefix('/stripe-api')})."
        return jsonify({"error": {"type": "invalid_request_error", "message": message}}), code
    if request.path.startswith("/control/api"):
        return jsonify({"error": error.description or error.name}), code
    title, text = {
        404: ("Page not found", "The event type may be unavailable, or the address mistyped."),
        410: ("This link has been used", "It was for one booking, and that booking has been made."),
    }.get(code, (error.name, error.description or ""))
    return render_template("problem.html", title=title, text=text), code


def _healthz() -> Response:
    return jsonify({"status": "ok"})


def _asset(name: str) -> Response:
    """The embed widget's two public files, for any site."""
    response = send_from_directory(_PACKAGE / "static" / "sandbox" / "calendly", name)
    response.headers["Access-Control-Allow-Origin"] = "*"
    response.headers["Cross-Origin-Resource-Policy"] = "cross-origin"
    return response


class _QuietHandler(WSGIRequestHandler):
    """HTTP/1.1 with keep-alive, without a log line per request, without Nagle's delay."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
        """Log nothing: the control page has a request log."""


class SandboxServer:
    """A sandbox on an address of its own; port 0 means any free port."""

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
        """The running sandbox, with its state."""
        found: Sandbox = self.app.extensions["sandbox"]
        return found

    def serve(self) -> None:
        """Answer requests until :meth:`stop` is called from another thread."""
        self._server.serve_forever(poll_interval=0.02)

    def start(self) -> SandboxServer:
        """Answer requests in a thread."""
        self._thread = threading.Thread(target=self.serve, name="sandbox", daemon=True)
        self._thread.start()
        return self

    def stop(self) -> None:
        """Stop, and free the address; the state stays on disk."""
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
