"""The blueprint of the dashboard's pages. No cache may store them; who may call them is in :mod:`bookingapp.access`."""

from __future__ import annotations

from flask import Blueprint

from bookingapp.core.security import forbid_caching

blueprint = Blueprint("dashboard", __name__, url_prefix="/dashboard")
blueprint.after_request(forbid_caching)
