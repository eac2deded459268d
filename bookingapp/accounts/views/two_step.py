"""Two-step log-in: setting it up, its recovery codes, turning it off."""

from __future__ import annotations

from flask import Response, current_app, flash, url_for
from werkzeug.wrappers import Response as BaseResponse

from bookingapp.accounts import service
from bookingapp.accounts import two_step as steps
from bookingapp.accounts.codes import SecurityCode
from bookingapp.accounts.events import record_event
from bookingapp.accounts.forms import CodeForm, PasswordForm
from bookingapp.accounts.guard import needs_two_step
from bookingapp.accounts.log_ins import CurrentLogIn
from bookingapp.accounts.models import LogIn
from bookingapp.accounts.views.blueprint import blueprint, is_confirmed, is_recent, page, this_log_in
from bookingapp.core import quotas
from bookingapp.core.clock import utcnow
from bookingapp.core.db import db, transaction
from bookingapp.core.errors import Conflict
from bookingapp.core.htmx import see_other
from bookingapp.core.i18n import gettext


@blueprint.get("/account/two-step")
def two_step() -> Response:
    """How it is, and what can be done about it."""
    return _page(PasswordForm(formdata=None))


@blueprint.post("/account/two-step/start")
def start_two_step() -> Response | BaseResponse:
    """Make a secret for an app. Needs the password, unless it was entered a few minutes ago and none is in use."""
    log_in, form = this_log_in(), PasswordForm()
    if _needs_password(log_in) and not is_confirmed(form):
        return _page(form)
    with transaction(db.session()) as database:
        account = service.lock_account(database, log_in.account_id)
        steps.begin_set_up(database, account, now=utcnow())
    return see_other(url_for(".set_up_two_step"))


@blueprint.get("/account/two-step/set-up")
def set_up_two_step() -> Response | BaseResponse:
    """The secret, as a QR code and in letters, and the form for its first code."""
    return _set_up_page(CodeForm(formdata=None))


@blueprint.post("/account/two-step/set-up")
def confirm_two_step() -> Response | BaseResponse:
    """Turn it on by the first code. The recovery codes are in this answer and nowhere else."""
    log_in, form, now = this_log_in(), CodeForm(), utcnow()
    if not form.validate_on_submit():
        return _set_up_page(form)
    wait = quotas.try_spend(quotas.CONFIRMATIONS, str(log_in.id))
    if wait:
        form.code.errors = [quotas.too_often(wait)]
        return _set_up_page(form)
    with transaction(db.session()) as database:
        account = service.lock_account(database, log_in.account_id)
        present = database.get_one(LogIn, log_in.id)
        confirmed = steps.confirm_set_up(database, account, present, form.code.data or "", now=now)
        if confirmed is not None and confirmed[1]:
            record_event(database, SecurityCode.TWO_STEP_ON, account_id=log_in.account_id, now=now)
    if confirmed is None:
        form.code.errors = [
            gettext("This code is wrong. Please enter the newest one, and check the clock of your phone.")
        ]
        return _set_up_page(form)
    onward = ".two_step"
    if needs_two_step(log_in.account):
        # They were sent here on the way to their work.
        onward = "operator.index" if log_in.account.is_operator else "dashboard.index"
    return page("recovery_codes.html", codes=confirmed[0], is_new=True, onward=url_for(onward))


@blueprint.post("/account/two-step/recovery-codes")
def new_recovery_codes() -> Response | BaseResponse:
    """Replace the recovery codes. The new ones are in this answer and nowhere else."""
    log_in, form, now = this_log_in(), PasswordForm(), utcnow()
    if not is_confirmed(form):
        return _page(form, wrong="codes")
    with transaction(db.session()) as database:
        account = service.lock_account(database, log_in.account_id)
        if account.two_step_since is None:
            raise Conflict(gettext("Two-step log-in is off."))
        codes = steps.make_recovery_codes(database, account)
        record_event(database, SecurityCode.RECOVERY_CODES_MADE, account_id=account.id, now=now)
    return page("recovery_codes.html", codes=codes, is_new=False, onward=url_for(".two_step"))


@blueprint.post("/account/two-step/off")
def turn_two_step_off() -> Response | BaseResponse:
    """Turn it off. Raises :class:`Conflict` for accounts that need it."""
    log_in, form, now = this_log_in(), PasswordForm(), utcnow()
    if needs_two_step(log_in.account):
        raise Conflict(_needed(log_in))
    if not is_confirmed(form):
        return _page(form, wrong="off")
    with transaction(db.session()) as database:
        account = service.lock_account(database, log_in.account_id)
        steps.turn_off(database, account)
        record_event(database, SecurityCode.TWO_STEP_OFF, account_id=account.id, now=now)
    flash(gettext("Two-step log-in is off. Your password alone logs you in."), "ok")
    return see_other(url_for(".two_step"))


def _needed(log_in: CurrentLogIn) -> str:
    """Why it cannot be turned off."""
    if log_in.account.is_operator:
        return gettext("Operators need two-step log-in, so it cannot be turned off.")
    return gettext("This site asks for two-step log-in, so it cannot be turned off.")


def _needs_password(log_in: CurrentLogIn) -> bool:
    return log_in.account.two_step_since is not None or not is_recent(log_in)


def _page(form: PasswordForm, wrong: str = "start") -> Response:
    """``wrong`` names the form that the errors belong to."""
    log_in = this_log_in()
    form.present.id = f"present-{wrong}"
    return page(
        "two_step.html",
        422 if form.errors else 200,
        form=form,
        wrong=wrong if form.errors else None,
        account=log_in.account,
        needs_password=_needs_password(log_in),
        needed=_needed(log_in) if needs_two_step(log_in.account) else None,
        codes_left=steps.recovery_codes_left(db.session(), log_in.account_id),
    )


def _set_up_page(form: CodeForm) -> Response | BaseResponse:
    account = this_log_in().account
    secret = steps.find_new_secret(db.session(), account.id, now=utcnow())
    if secret is None:
        return see_other(url_for(".two_step"))
    brand = getattr(current_app.jinja_env.get_template("components/brand.html").module, "brand", "")
    address = steps.set_up_address(secret, email=account.email, issuer=brand)
    width, path = steps.qr_code(address)
    groups = [secret[start : start + 4] for start in range(0, len(secret), 4)]
    return page(
        "two_step_set_up.html",
        422 if form.errors else 200,
        form=form,
        address=address,
        groups=groups,
        width=width,
        path=path,
    )
