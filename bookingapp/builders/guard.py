"""The builder whose account is logged in in this browser."""

from __future__ import annotations

from flask import g

from bookingapp.accounts.guard import current_account
from bookingapp.builders.models import Builder
from bookingapp.builders.service import find_by_account
from bookingapp.core.db import db
from bookingapp.core.errors import NotFound
from bookingapp.core.i18n import gettext


def find_current_builder() -> Builder | None:
    """The profile of the account that is logged in, queried at most once a request; None where it has none."""
    if "builder" not in g:
        account = current_account()
        g.builder = find_by_account(db.session(), account.id) if account else None
    builder: Builder | None = g.builder
    return builder


def current_builder() -> Builder:
    """The profile of the account that is logged in. Raises :class:`NotFound` where it has none."""
    builder = find_current_builder()
    if builder is None:
        raise NotFound(gettext("This account has no builder's profile."))
    return builder
