"""Liveness, readiness, numbers."""

from __future__ import annotations

import dataclasses
import ipaddress

from flask import Blueprint, Response, abort, jsonify, make_response, request
from prometheus_client import CONTENT_TYPE_LATEST
from sqlalchemy.exc import SQLAlchemyError

from bookingapp.core import heartbeat, services
from bookingapp.core.clock import utcnow
from bookingapp.core.db import db
from bookingapp.core.extensions import limiter
from bookingapp.core.settings import Settings
from bookingapp.integrations.calendly import CalendlyClient
from bookingapp.integrations.redis_link import RedisAway, RedisLink
from bookingapp.operations import metrics

blueprint = Blueprint("operations", __name__)
limiter.exempt(blueprint)


@blueprint.get("/healthz")
def alive() -> Response:
    """The process answers. It asks nothing else, so that a database that is down does not get it restarted."""
    return jsonify(status="ok")


@blueprint.get("/readyz")
def ready() -> Response:
    """What this process needs answers too. 503 only where the database does not.

    Without a worker, or without Redis, a web process still shows pages and keeps deliveries, and what is kept is
    applied later. Whoever took it out of rotation for that would turn a delay into deliveries that nobody takes in. So
    that is ``degraded``, with 200: something for an alert, and nothing for a load balancer.
    """
    try:
        workers = heartbeat.count_workers(db.session(), now=utcnow())
    except SQLAlchemyError as error:
        response = jsonify(status="unavailable", database=type(error).__name__)
        response.status_code = 503
        return response
    redis = _redis()
    is_whole = workers.alive > 0 and redis != "away"
    return jsonify(
        status="ok" if is_whole else "degraded",
        database="ok",
        redis=redis,
        workers=dataclasses.asdict(workers),
    )


def _redis() -> str:
    """``ok``, ``away`` or ``not used``. Waits for a Redis in trouble once, briefly, and then not again for a while."""
    if not services.get(Settings).redis_url:
        return "not used"
    try:
        services.get(RedisLink).do(lambda redis: redis.ping())
    except RedisAway:
        return "away"
    return "ok"


@blueprint.get("/metrics")
def metrics_page() -> Response:
    """Prometheus text, for a scraper that reaches this process itself. To everybody else it does not exist."""
    if not _is_near():
        abort(404)
    response = make_response(metrics.render_metrics(db.session(), services.get(CalendlyClient), now=utcnow()))
    response.headers["Content-Type"] = CONTENT_TYPE_LATEST
    return response


def _is_near() -> bool:
    """Whether the request comes from this machine or its private network, and not through a proxy."""
    forwarded = any(name in request.headers for name in ("Forwarded", "X-Forwarded-For", "X-Real-Ip"))
    try:
        return not forwarded and ipaddress.ip_address(request.remote_addr or "").is_private
    except ValueError:
        return False
