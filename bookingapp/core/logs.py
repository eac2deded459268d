"""Logging: lines as text or JSON, each with the id of its request, without anything secret or personal.

Code logs ids. The last processor is a safety net: it masks e-mail addresses, keys, tokens, signatures and bearer
links in every value, also in exceptions.
"""

from __future__ import annotations

import logging
import re
import secrets
import sys
import time
from typing import Any

import structlog
from flask import Flask, Response, g, has_request_context, request

_MASKS = (
    (re.compile(r"[\w.+-]+@[\w-]+\.[\w.-]+"), "[e-mail]"),
    (re.compile(r"\b(sk|rk|pk|whsec)_[A-Za-z0-9_]{4,}"), "[key]"),
    (re.compile(r"\bcs_(test|live)_[A-Za-z0-9]+"), "[checkout session]"),
    (re.compile(r"(?i:bearer)\s+[\w.\-]+"), "[token]"),
    (re.compile(r"\bv1=[0-9a-f]{16,}"), "[signature]"),
    (re.compile(r"/bookings/[A-Za-z0-9_-]{16,}"), "/bookings/[ref]"),
    (
        re.compile(
            r"/(reset-password|confirm-address/\w+|invitation|become-a-builder/confirm|my-bookings/link)/[\w.~-]{8,}"
        ),
        r"/\1/[link]",
    ),
    (re.compile(r"/(cancellations|reschedulings)/[A-Za-z0-9-]{8,}"), r"/\1/[invitee]"),
)
# Nearly no text has any of them, and one search is cheaper than seven.
_ANY_MASK = re.compile("|".join(f"(?:{pattern.pattern})" for pattern, _ in _MASKS))
_SECRET_NAMES = frozenset(
    {"password", "token", "authorization", "secret", "email", "name", "body", "ref", "signature"}
)


def mask(text: str) -> str:
    """``text`` without e-mail addresses, keys, signatures and bearer links."""
    if _ANY_MASK.search(text) is None:
        return text
    for pattern, replacement in _MASKS:
        text = pattern.sub(replacement, text)
    return text


def _masked(value: Any) -> Any:
    if isinstance(value, str):
        return mask(value)
    if isinstance(value, dict):
        return {key: "[hidden]" if key in _SECRET_NAMES else _masked(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_masked(item) for item in value]
    return value


def _mask_event(_logger: Any, _method: str, event: structlog.typing.EventDict) -> structlog.typing.EventDict:
    for key, value in event.items():
        event[key] = "[hidden]" if key in _SECRET_NAMES else _masked(value)
    return event


def configure(*, as_json: bool) -> None:
    """Set up logging for the process: structlog and the standard library write the same lines to stderr."""
    renderer: structlog.typing.Processor = (
        structlog.processors.JSONRenderer()
        if as_json
        else structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty())
    )
    shared: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.StackInfoRenderer(),
        structlog.processors.format_exc_info,
        _mask_event,
    ]
    structlog.configure(
        processors=[*shared[:-2], structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )
    # No line says them, and finding where a line was written takes as long as writing it.
    logging._srcfile = None  # noqa: SLF001 - as Python's manual does ("Optimization").
    logging.logThreads = logging.logProcesses = logging.logMultiprocessing = False
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared[:-2],
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                structlog.processors.format_exc_info,
                _mask_event,
                renderer,
            ],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(logging.INFO)
    # Their lines contain addresses, which may carry a token or an e-mail address.
    for name in ("urllib3", "requests_cache", "stripe", "alembic"):
        logging.getLogger(name).setLevel(logging.ERROR)
    limiter = logging.getLogger("flask-limiter")
    limiter.setLevel(logging.WARNING)
    limiter.filters[:] = [_shorten_traceback]


def _shorten_traceback(record: logging.LogRecord) -> bool:
    """Replace a traceback by the class of its error: Redis that is away is no bug."""
    if record.exc_info and record.exc_info[0] is not None:
        record.msg, record.args = f"{record.getMessage()} ({record.exc_info[0].__name__})", ()
        record.exc_info = None
    return True


def bind_booking(booking_id: int) -> None:
    """Let the lines of this request carry the number of its booking. A worker's lines carry that of their row."""
    if has_request_context():
        structlog.contextvars.bind_contextvars(booking=booking_id)


def init_app(app: Flask) -> None:
    """Give each request an id, and log one line at its end: method, route, status, milliseconds."""
    log = structlog.get_logger("bookingapp.request")

    @app.before_request
    def _begin() -> None:
        g.request_started = time.perf_counter()
        g.request_id = secrets.token_hex(8)
        structlog.contextvars.clear_contextvars()
        structlog.contextvars.bind_contextvars(request_id=g.request_id)

    @app.after_request
    def _end(response: Response) -> Response:
        if "request_started" in g and request.endpoint != "static":
            took = round((time.perf_counter() - g.request_started) * 1000, 1)
            # The route, not the path: a booking's path is its key.
            route = request.url_rule.rule if request.url_rule else "(no route)"
            log.info("request", method=request.method, route=route, status=response.status_code, ms=took)
            response.headers.setdefault("X-Request-Id", g.request_id)
        return response
