"""Logging in, in one step or two, and logging out."""

from __future__ import annotations

import re

from flask import Response, redirect, request, session, url_for
from werkzeug.wrappers import Response as BaseResponse

from bookingapp.accounts import entry, log_ins, service
from bookingapp.accounts.codes import SecurityCode
from bookingapp.accounts.events import record_event
from bookingapp.accounts.forms import CodeForm, LogInForm
from bookingapp.accounts.guard import COOKIE_KEY, current_account, enter, remember, start_session
from bookingapp.accounts.models import LogIn
from bookingapp.accounts.origins import current_origin
from bookingapp.accounts.passwords import verify_password
from bookingapp.accounts.tries import Tries
from bookingapp.accounts.views.blueprint import blueprint, page
from bookingapp.core import quotas
from bookingapp.core.clock import utcnow
from bookingapp.core.db import db, reading, transaction
from bookingapp.core.extensions import limiter
from bookingapp.core.htmx import see_other
from bookingapp.core.i18n import gettext
from bookingapp.core.visitors import visitor_address

LANDING = "dashboard.index"
_PRIVATE = re.compile(r"/(?:dashboard|account|operator)(?:[/?]|$)")


@blueprint.get("/login")
def login() -> Response | BaseResponse:
    """The form; a browser that is logged in is sent on to the dashboard."""
    if current_account() is not None:
        return redirect(url_for(LANDING), code=303)
    return page("login.html", form=LogInForm())


@blueprint.post("/login")
@limiter.limit("30/minute")
def log_in() -> Response | BaseResponse:
    """Check e-mail and password. The answer does not say which of them is wrong: tries are counted by what was entered,
    whether there is such an account or not.
    """
    form, origin = LogInForm(), current_origin()
    if not form.validate_on_submit():
        return page("login.html", 422, form=form)
    address = service.spell_as_stored(form.email.data or "")
    with reading(db.session()) as database:
        credentials = service.find_credentials(database, address)
        account_id = credentials.account_id if credentials else None
        browser = log_ins.find_known_browser(database, account_id, origin.browser_hash)
    tries = Tries(address, browser, visitor_address())
    wait = tries.spend_password()
    if wait:
        form.form_error = quotas.too_often(wait)
        return _with_wait(page("login.html", 429, form=form), wait)
    verified, entered = verify_password(credentials, form.password.data or ""), None
    with transaction(db.session()) as database:
        account = service.find_verified(database, verified) if verified else None
        if account is not None:
            entered = enter(account, now=utcnow())
        else:
            record_event(
                database,
                SecurityCode.LOG_IN_FAILED,
                account_id=credentials.account_id if credentials else None,
                now=utcnow(),
            )
    if entered is None:
        tries.record_failure()
        form.form_error = gettext("E-mail or password is wrong.")
        return page("login.html", 422, form=form)
    tries.forget_passwords()
    target = _local(request.args.get("next"))
    if not entered.is_complete:
        return remember(see_other(url_for(".second_step", next=target)), entered)
    return remember(see_other(target or url_for(LANDING)), entered)


@blueprint.get("/login/two-step")
def second_step() -> Response | BaseResponse:
    """The form for the code; the log-in page where no log-in waits for one (any more)."""
    if _waiting() is None:
        return _begin_again()
    return page("second_step.html", form=CodeForm())


@blueprint.post("/login/two-step")
@limiter.limit("30/minute")
def check_second_step() -> Response | BaseResponse:
    """Check the code, of the app or for recovery, and complete the log-in."""
    waiting, form, origin = _waiting(), CodeForm(), current_origin()
    if waiting is None:
        return _begin_again()
    if not form.validate_on_submit():
        return page("second_step.html", 422, form=form)
    with reading(db.session()) as database:
        browser = log_ins.find_known_browser(database, waiting.account_id, waiting.browser_hash)
    tries = Tries(f"{waiting.account_id}", browser, visitor_address())
    wait = tries.spend_code()
    if wait:
        form.form_error = quotas.too_often(wait)
        return _with_wait(page("second_step.html", 429, form=form), wait)
    with transaction(db.session()) as database:
        present = log_ins.find_waiting_log_in(database, session.get(COOKIE_KEY), now=utcnow())
        token = (
            entry.pass_second_step(database, present, form.code.data or "", origin, now=utcnow())
            if present
            else None
        )
    if token is None:
        form.form_error = gettext("This code is wrong, or it was used already. Please enter the next one.")
        return page("second_step.html", 422, form=form)
    start_session(token)
    return see_other(_local(request.args.get("next")) or url_for(LANDING))


@blueprint.post("/logout")
def logout() -> BaseResponse:
    """End the log-in, in this browser and in the database."""
    with transaction(db.session()) as database:
        ended = log_ins.end_log_in(database, session.pop(COOKIE_KEY, None), now=utcnow())
        if ended is not None:
            record_event(
                database, SecurityCode.LOGGED_OUT, account_id=ended.account_id, now=utcnow(), log_in=ended.id
            )
    session.clear()
    return see_other(url_for("builders.index"))


def _begin_again() -> Response:
    form = LogInForm(formdata=None)
    form.form_error = gettext("That took too long. Please enter your password again.")
    return page("login.html", 200 if request.method == "GET" else 409, form=form)


def _waiting() -> LogIn | None:
    return log_ins.find_waiting_log_in(db.session(), session.get(COOKIE_KEY), now=utcnow())


def _with_wait(response: Response, wait: int) -> Response:
    response.headers["Retry-After"] = str(wait)
    return response


def _local(target: str | None) -> str | None:
    """``target`` where it is an address of a private page, else None: nothing that a browser reads as another site
    (two slashes, a backslash), that leads to another page, or that is not allowed in a header.
    """
    if not target or not target.isprintable() or any(part in target for part in ("\\", "//", "..")):
        return None
    return target.rstrip("?") if _PRIVATE.match(target) else None
