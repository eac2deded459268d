"""Changing the password."""

from __future__ import annotations

from flask import Response, flash, url_for
from werkzeug.wrappers import Response as BaseResponse

from bookingapp.accounts import service
from bookingapp.accounts.codes import SecurityCode
from bookingapp.accounts.events import record_event
from bookingapp.accounts.forms import ChangePasswordForm
from bookingapp.accounts.passwords import check_password, hash_new_password
from bookingapp.accounts.views.blueprint import blueprint, is_confirmed, page, this_log_in
from bookingapp.core.clock import utcnow
from bookingapp.core.db import db, transaction
from bookingapp.core.errors import Invalid
from bookingapp.core.htmx import see_other
from bookingapp.core.i18n import gettext


@blueprint.get("/account/password")
def password() -> Response:
    """The form."""
    return page("password.html", form=ChangePasswordForm(), account=this_log_in().account)


@blueprint.post("/account/password")
def change_password() -> Response | BaseResponse:
    """Set another password, and end every other log-in."""
    form, log_in = ChangePasswordForm(), this_log_in()
    account = log_in.account
    is_right = is_confirmed(form)
    try:
        if not form.password.errors:
            check_password(form.password.data or "", name=account.name, email=account.email)
        if is_right:
            hashed = hash_new_password(form.password.data or "", name=account.name, email=account.email)
    except Invalid as error:
        form.password.errors = [error.message]
    if form.errors:
        return page("password.html", 422, form=form, account=account)
    now = utcnow()
    with transaction(db.session()) as database:
        locked = service.lock_account(database, account.id)
        # A reset, for example, while we hashed.
        is_present = locked.password_hash == account.password_hash
        if is_present:
            service.set_password(database, locked, hashed, kept_log_in=log_in.id, now=now)
            record_event(database, SecurityCode.PASSWORD_CHANGED, account_id=locked.id, now=now)
    if not is_present:
        form.present.errors = [gettext("This is not your present password.")]
        return page("password.html", 422, form=form, account=account)
    flash(gettext("Your password is changed. You are logged out everywhere else."), "ok")
    return see_other(url_for(".account"))
