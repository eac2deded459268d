"""The blueprint of the console's pages. No cache may store them."""

from __future__ import annotations

from typing import Any

from flask import Blueprint, request

from bookingapp.accounts.guard import current_account
from bookingapp.builders.guard import find_current_builder
from bookingapp.core.edge import LARGEST_ID
from bookingapp.core.errors import NotFound
from bookingapp.core.security import forbid_caching

blueprint = Blueprint("operator", __name__, url_prefix="/operator")
blueprint.after_request(forbid_caching)


def operator_id() -> int:
    """The account of the operator who is logged in, for :func:`bookingapp.console.acts.record_act`."""
    account = current_account()
    if account is None:
        raise NotFound
    return account.id


def reader_zone() -> str:
    """The zone in which the console shows times: that of the operator's own profile, else UTC."""
    builder = find_current_builder()
    return builder.timezone if builder else "UTC"


def id_argument(name: str) -> int | None:
    """The id of a row in the query of the address; None where there is none that a row can have."""
    number = request.args.get(name, type=int)
    return number if number is not None and 0 < number <= LARGEST_ID else None


def id_before() -> int | None:
    """The id behind which a page of a list begins."""
    return id_argument("before")


@blueprint.context_processor
def _zone() -> dict[str, Any]:
    """``reader_zone()``, for every template of the console."""
    return {"reader_zone": reader_zone}
