"""``/healthz``, ``/readyz`` and ``/metrics``: for load balancers, alerts and Prometheus."""

from __future__ import annotations

import dataclasses
import hmac
from typing import Any

from flask import Blueprint, Response, abort, jsonify, make_response, request
from sqlalchemy.exc import SQLAlchemyError

from bookingapp.core import heartbeat, services
from bookingapp.core.clock import TIME_SOURCES, utcnow
from bookingapp.core.database_failures import DatabaseFailure, find_cause
from bookingapp.core.db import db, is_read_only
from bookingapp.core.extensions import limiter
from bookingapp.core.settings import Settings, reveal
from bookingapp.core.visitors import read_address
from bookingapp.integrations.calendly import CalendlyClient
from bookingapp.integrations.redis_link import RedisLink
from bookingapp.operations.health import has_space, redis_answers

blueprint = Blueprint("operations", __name__)
limiter.exempt(blueprint)


@blueprint.get("/healthz")
def alive() -> Response:
    """This process answers. The database is not checked: restarting the process would not repair it."""
    return jsonify(status="ok")


@blueprint.get("/readyz")
def ready() -> Response:
    """Whether database, Redis and workers answer, the disk has space and the clock is right. 503 only without the
    database.

    Without one of the others, and while the database refuses to write, it is ``degraded`` with 200: an alert should
    fire, but a load balancer should keep the process, which still shows pages. Anybody may see the status, and
    operators its details.
    """
    try:
        workers = heartbeat.count_workers(db.session(), now=utcnow())
        only_reads = is_read_only(db.session())
    except SQLAlchemyError as error:
        response = _answer("unavailable", database=find_cause(error))
        response.status_code = 503
        return response
    answers = redis_answers(services.get(Settings), lambda: services.get(RedisLink))
    is_writable = has_space(services.get(Settings))
    is_on_time = not TIME_SOURCES.error()
    is_ok = workers.alive > 0 and answers is not False and is_writable and is_on_time and not only_reads
    return _answer(
        "ok" if is_ok else "degraded",
        clock="ok" if is_on_time else "wrong",
        database=DatabaseFailure.READ_ONLY if only_reads else "ok",
        disk="ok" if is_writable else "full",
        redis="not used" if answers is None else "ok" if answers else "away",
        workers=dataclasses.asdict(workers),
    )


def _answer(status: str, **details: Any) -> Response:
    return jsonify(status=status, **(details if _may_see_details() else {}))


@blueprint.get("/metrics")
def metrics_page() -> Response:
    """Prometheus text, for this machine or for whoever has METRICS_TOKEN. Any other request gets 404."""
    if not _may_see_details():
        abort(404)
    from prometheus_client import CONTENT_TYPE_LATEST  # noqa: PLC0415 - as the next line

    from bookingapp.operations import metrics  # noqa: PLC0415 - its module says why

    response = make_response(metrics.render_metrics(db.session(), services.get(CalendlyClient), now=utcnow()))
    response.headers["Content-Type"] = CONTENT_TYPE_LATEST
    return response


def _may_see_details() -> bool:
    """Whether the request comes from this machine and not through a proxy, or brings METRICS_TOKEN."""
    token = reveal(services.get(Settings).metrics_token)
    given = request.authorization.token if request.authorization else None
    if token and given and hmac.compare_digest(given.encode(), token.encode()):
        return True
    forwarded = any(name in request.headers for name in ("Forwarded", "X-Forwarded-For", "X-Real-Ip"))
    address = read_address(request.remote_addr or "")
    return not forwarded and address is not None and address.is_loopback
