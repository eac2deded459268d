"""The page of an act: what it does, and the form with the reason. In a list, htmx shows it in place of the button."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Final
from urllib.parse import urlencode

from flask import flash, make_response, render_template, request
from flask_wtf import FlaskForm
from werkzeug.wrappers import Response as BaseResponse

from bookingapp.console.acts import Act, Decision
from bookingapp.console.forms import ReasonForm
from bookingapp.console.models import ActCode
from bookingapp.console.views.blueprint import operator_id
from bookingapp.console.words.acts import ACTS
from bookingapp.core.clock import utcnow
from bookingapp.core.db import db, transaction
from bookingapp.core.errors import Conflict, Invalid
from bookingapp.core.htmx import is_htmx, see_other, vary_on_htmx

# The lists with buttons that settle a line in place: their query and place in the page.
_LIST: Final = re.compile(r"/operator(?:/jobs)?(?:\?[\w=&%~.-]*)?(?:#[\w-]*)?", re.ASCII)


def with_way_back(address: str, place: str = "") -> str:
    """The address of an act, for a list: the way back leads to the list as it is shown now, to ``place`` in it."""
    here = f"{request.full_path.rstrip('?')}#{place}"
    return f"{address}{'&' if '?' in address else '?'}{urlencode({'back': here})}"


def _find_way_back() -> str | None:
    """The list that :func:`with_way_back` named; None for anything else, above all another site's page."""
    back = request.args.get("back", "")
    return back if _LIST.fullmatch(back) else None


def decided(form: ReasonForm) -> Decision:
    """What the operator who is logged in decides now, once the form is valid."""
    return Decision(operator_id(), form.reason.data or "", utcnow())


def committed(act: Act) -> Callable[[Decision], object]:
    """An act that is one transaction, for :func:`offer_act`."""

    def perform(decision: Decision) -> None:
        with transaction(db.session()) as session:
            act(session, decision)

    return perform


def offer_act(
    act: ActCode,
    perform: Callable[[Decision], object],
    *,
    about: str,
    back: str,
    form: ReasonForm | None = None,
    extra: FlaskForm | None = None,
    effect: str | None = None,
    is_danger: bool = False,
) -> BaseResponse:
    """Show the form; once it is valid, ``perform`` the act and go ``back``, or for htmx say in place that it is done.

    ``about`` names the subject; ``extra`` is a form with fields beside those of ``form``; ``effect`` replaces the act's
    own sentence. What ``perform`` finds invalid or impossible is shown in the form, which keeps what was typed. Who
    comes from a list goes back to its filter and page (:func:`with_way_back`).
    """
    back = _find_way_back() or back
    form, words = form or ReasonForm(prefix="act-" if extra is not None else ""), ACTS[act]
    status = Invalid.status if form.is_submitted() else 200
    is_valid = form.validate_on_submit()
    if (extra is None or extra.validate_on_submit()) and is_valid:
        try:
            perform(decided(form))
        except (Invalid, Conflict) as error:
            form.form_error, status = error.message, error.status
        else:
            if is_htmx():
                return vary_on_htmx(make_response(render_template("console/_settled.html", words=words)))
            flash(str(words.done), "ok")
            # To its top, where the message is.
            return see_other(back.partition("#")[0])
    body = render_template(
        "console/_act.html" if is_htmx() else "console/act.html",
        act=act,
        words=words,
        form=form,
        extra=extra,
        about=about,
        back=back,
        place=back.partition("#")[2],
        effect=effect or words.effect,
        is_danger=is_danger,
        address=request.full_path.rstrip("?"),
    )
    return vary_on_htmx(make_response(body, status))
