"""Liveness, readiness, numbers."""

from __future__ import annotations

import ipaddress

import sqlalchemy as sa
from flask import Blueprint, Response, abort, jsonify, make_response, request
from prometheus_client import CONTENT_TYPE_LATEST
from sqlalchemy.exc import SQLAlchemyError

from bookingapp.core import services
from bookingapp.core.clock import utcnow
from bookingapp.core.db import db
from bookingapp.core.extensions import limiter
from bookingapp.integrations.calendly import CalendlyClient
from bookingapp.operations import metrics

blueprint = Blueprint("operations", __name__)
limiter.exempt(blueprint)


@blueprint.get("/healthz")
def alive() -> Response:
    """The process answers. It asks nothing else, so that a database that is down does not get it restarted."""
    return jsonify(status="ok")


@blueprint.get("/readyz")
def ready() -> Response:
    """The database answers too."""
    try:
        db.session().execute(sa.text("SELECT 1"))
    except SQLAlchemyError as error:
        response = jsonify(status="unavailable", database=type(error).__name__)
        response.status_code = 503
        return response
    return jsonify(status="ok", database="ok")


@blueprint.get("/metrics")
def numbers() -> Response:
    """Prometheus text, for a scraper that reaches this process itself. To everybody else it does not exist."""
    if not _is_near():
        abort(404)
    response = make_response(metrics.text(db.session(), services.get(CalendlyClient), now=utcnow()))
    response.headers["Content-Type"] = CONTENT_TYPE_LATEST
    return response


def _is_near() -> bool:
    """Whether the request comes from this machine or its private network, and not through a proxy."""
    forwarded = any(name in request.headers for name in ("Forwarded", "X-Forwarded-For", "X-Real-Ip"))
    try:
        return not forwarded and ipaddress.ip_address(request.remote_addr or "").is_private
    except ValueError:
        return False
