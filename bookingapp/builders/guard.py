"""The builder whose account is logged in in this browser."""

from __future__ import annotations

from flask import g

from bookingapp.accounts.guard import current_account
from bookingapp.builders.models import Builder
from bookingapp.builders.service import Owner, find_by_account, find_owner
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
        raise _no_profile()
    return builder


def current_owner() -> Owner:
    """The same for a page that reads lists alone. Raises :class:`NotFound` as that does."""
    account = current_account()
    owner = find_owner(db.session(), account.id) if account else None
    if owner is None:
        raise _no_profile()
    return owner


def _no_profile() -> NotFound:
    return NotFound(gettext("This account has no builder's profile."))
