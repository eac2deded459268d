"""The blueprint of the accounts' pages, and what several of them need."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from flask import Blueprint, Response, make_response, render_template

from bookingapp.accounts.codes import SecurityCode
from bookingapp.accounts.events import record_event
from bookingapp.accounts.forms import PresentPassword
from bookingapp.accounts.guard import current_log_in, keep_language
from bookingapp.accounts.log_ins import CurrentLogIn
from bookingapp.accounts.passwords import Credentials, verify_password
from bookingapp.core import quotas
from bookingapp.core.clock import utcnow
from bookingapp.core.db import db, end_request_read, transaction
from bookingapp.core.errors import NotFound
from bookingapp.core.i18n import gettext
from bookingapp.core.security import forbid_caching_and_indexing

# Who has just logged in has just entered the password.
RECENT = timedelta(minutes=10)

blueprint = Blueprint("accounts", __name__)
blueprint.before_app_request(keep_language)
blueprint.after_request(forbid_caching_and_indexing)


def page(template: str, status: int = 200, **values: Any) -> Response:
    """A page of this feature."""
    return make_response(render_template(f"accounts/{template}", **values), status)


def this_log_in() -> CurrentLogIn:
    """The log-in of this browser, which the guard has found."""
    log_in = current_log_in()
    if log_in is None:
        raise NotFound
    return log_in


def is_recent(log_in: CurrentLogIn) -> bool:
    """Whether the account has logged in here a few minutes ago, so that its password is not asked for once more."""
    return utcnow() - log_in.created_at <= RECENT


def is_confirmed(form: PresentPassword) -> bool:
    """Whether the form is valid and has the account's present password; else it has an error for each mistake. Tries
    are limited, and a wrong one is recorded, whatever else is wrong in the form.
    """
    is_valid: bool = form.validate_on_submit()
    if form.present.errors:
        return False
    log_in = this_log_in()
    account = log_in.account
    wait = quotas.try_spend(quotas.CONFIRMATIONS, str(log_in.id))
    if wait:
        form.present.errors = [quotas.too_often(wait)]
        return False
    end_request_read()
    if verify_password(Credentials(account.id, account.password_hash), form.present.data or ""):
        return is_valid
    with transaction(db.session()) as database:
        record_event(database, SecurityCode.PASSWORD_REFUSED, account_id=account.id, now=utcnow())
    form.present.errors = [gettext("This is not your present password.")]
    return False
