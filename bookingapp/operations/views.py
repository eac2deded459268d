"""Liveness and readiness."""

from __future__ import annotations

import sqlalchemy as sa
from flask import Blueprint, Response, jsonify
from sqlalchemy.exc import SQLAlchemyError

from bookingapp.core.db import db
from bookingapp.core.extensions import limiter

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
