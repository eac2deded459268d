"""The account that is logged in, and the guards of private pages."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import structlog
from flask import Response, flash, g, request, session, url_for
from werkzeug.wrappers import Response as BaseResponse

from bookingapp.accounts import entry, log_ins, service
from bookingapp.accounts.codes import SecondStep, SecurityCode
from bookingapp.accounts.entry import Entry
from bookingapp.accounts.events import record_event
from bookingapp.accounts.log_ins import CurrentAccount, CurrentLogIn
from bookingapp.accounts.models import Account
from bookingapp.accounts.origins import BROWSER_COOKIE, BROWSER_KEPT, current_origin
from bookingapp.core import cookies, languages, quotas, services
from bookingapp.core.clock import utcnow
from bookingapp.core.db import db, transaction
from bookingapp.core.errors import NotFound
from bookingapp.core.htmx import is_htmx, see_other
from bookingapp.core.i18n import asked, gettext
from bookingapp.core.settings import Settings

log = structlog.get_logger(__name__)

COOKIE_KEY = "log_in"


def current_log_in() -> CurrentLogIn | None:
    """The valid log-in of this browser, queried at most once a request."""
    if "log_in" not in g:
        token = session.get(COOKIE_KEY)
        g.log_in = log_ins.find_log_in(db.session(), token, now=utcnow()) if token else None
    log_in: CurrentLogIn | None = g.log_in
    return log_in


def current_account() -> CurrentAccount | None:
    """The account that is logged in in this browser, queried at most once a request."""
    log_in = current_log_in()
    return log_in.account if log_in else None


def refresh_log_in() -> None:
    """Record that the log-in is in use, every few minutes: it ends after two idle hours."""
    now, log_in = utcnow(), current_log_in()
    if log_in is not None and now - log_in.last_seen_at > log_ins.SEEN_EVERY:
        with transaction(db.session()) as database:
            log_ins.record_seen(database, log_in.id, now=now)


def require_account() -> Response | BaseResponse | None:
    """For ``before_request``: send a browser that is not logged in to the log-in page; htmx by its own header."""
    refresh_log_in()
    if current_account() is not None:
        return None
    if is_htmx():
        return Response(status=401, headers={"HX-Redirect": url_for("accounts.login")})
    return see_other(url_for("accounts.login", next=request.full_path if request.method == "GET" else None))


def require_builder() -> Response | BaseResponse | None:
    """For ``before_request`` of the dashboard: as :func:`require_account`; where the settings require a second step of
    builders, a log-in without one sees its account's own pages alone, and is sent to the set-up from any other.
    """
    answer, log_in = require_account(), current_log_in()
    is_own_account = (request.endpoint or "").startswith("accounts.")
    if answer is not None or log_in is None or is_own_account or not _asks_builders():
        return answer
    return _require_second_step(
        log_in, gettext("This site asks for two-step log-in. Please set it up first.")
    )


def needs_two_step(account: CurrentAccount) -> bool:
    """Whether the account may not log in by its password alone."""
    return account.is_operator or _asks_builders()


def _asks_builders() -> bool:
    return services.get(Settings).builder_two_step == "required"


def require_operator() -> Response | BaseResponse | None:
    """For ``before_request`` of the console: only operators whose log-in has passed the second step.

    A browser that is not logged in is sent to the log-in page, an operator without two-step log-in to its set-up.
    Raises :class:`NotFound` for any other account.
    """
    answer = require_account()
    log_in = current_log_in()
    if answer is not None or log_in is None:
        return answer
    if not log_in.account.is_operator:
        raise NotFound
    return _require_second_step(
        log_in, gettext("Operators log in with a second step. Please set it up first.")
    )


def _require_second_step(log_in: CurrentLogIn, words: str) -> Response | BaseResponse | None:
    if log_in.second_step is SecondStep.PASSED:
        return None
    flash(words, "info")
    target = url_for("accounts.two_step")
    return Response(status=401, headers={"HX-Redirect": target}) if is_htmx() else see_other(target)


def record_denial(account: CurrentAccount, **facts: Any) -> None:
    """Record that the account that is logged in asked for what is not its own; of each endpoint once an hour, so that
    the record does not grow by asking. ``facts`` are ids. Commits.
    """
    if quotas.try_spend(quotas.DENIALS, str(account.id), request.endpoint or ""):
        code = SecurityCode.DENIED.value
        log.info("security_event", code=code, account=account.id, endpoint=request.endpoint, **facts)
        return
    with transaction(db.session()) as database:
        record_event(
            database,
            SecurityCode.DENIED,
            account_id=account.id,
            now=utcnow(),
            endpoint=request.endpoint,
            **facts,
        )


def keep_language() -> None:
    """For ``before_request``: the account that is logged in keeps the language that it chooses on any page."""
    code, account = asked(), None
    if code and session.get(COOKIE_KEY):
        account = current_account()
    if account is not None and account.language != code:
        with transaction(db.session()) as database:
            service.lock_account(database, account.id).language = code


def enter(account: Account, *, now: datetime) -> Entry:
    """As :func:`entry.enter`, for this browser, in the transaction that is open. The browser's earlier log-in ends,
    also that of another account, because its cookie is replaced.
    """
    database = db.session()
    log_ins.end_log_in(database, session.get(COOKIE_KEY), now=now)
    return entry.enter(database, account, current_origin(), now=now)


def remember(response: BaseResponse, entry: Entry) -> BaseResponse:
    """Give the browser the cookies of its log-in. Its session begins anew, so that nothing that was planted before is
    in it.
    """
    start_session(entry.token)
    languages.keep(response, entry.language)
    if entry.browser is not None:
        cookies.keep(response, BROWSER_COOKIE, entry.browser, lasts=BROWSER_KEPT)
    return response


def start_session(token: str) -> None:
    """A new session for this log-in."""
    session.clear()
    session[COOKIE_KEY] = token
    session.permanent = True
