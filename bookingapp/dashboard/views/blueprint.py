"""The blueprint of the dashboard's pages: only for accounts that are logged in, and kept by no cache."""

from __future__ import annotations

from flask import Blueprint

from bookingapp.accounts.guard import require_account
from bookingapp.core.security import forbid_caching

blueprint = Blueprint("dashboard", __name__, url_prefix="/dashboard")
blueprint.before_request(require_account)
blueprint.after_request(forbid_caching)
