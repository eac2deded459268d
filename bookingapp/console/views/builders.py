"""The builders: finding one, its page with the evidence for its tier, and what an operator does to it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from flask import make_response, render_template, request, url_for
from werkzeug.wrappers import Response as BaseResponse

from bookingapp.builders.models import Builder
from bookingapp.connections.service import summarize_connection
from bookingapp.console import builders as service
from bookingapp.console.acts import list_acts_on
from bookingapp.console.builder_acts import perform_builder_act
from bookingapp.console.forms import AddressForm, ReasonForm, TierForm, UserForm
from bookingapp.console.models import ActCode, SubjectKind
from bookingapp.console.views.act_page import committed, offer_act
from bookingapp.console.views.blueprint import blueprint, id_before
from bookingapp.console.words.acts import ACTS, describe_facts
from bookingapp.core import services
from bookingapp.core.clock import utcnow
from bookingapp.core.db import db, end_request_read
from bookingapp.core.errors import Conflict, NotFound, Unavailable
from bookingapp.core.htmx import is_htmx, vary_on_htmx
from bookingapp.core.i18n import gettext
from bookingapp.integrations.calendly import CalendlyClient, CalendlyError
from bookingapp.onboarding.checklist import load_checklist
from bookingapp.operations.words import describe_failure

PER_PAGE = 25
LONGEST_SEARCH = 100

# The acts by their names in addresses.
NAMES: Final[Mapping[str, ActCode]] = {
    "suspend": ActCode.BUILDER_SUSPENDED,
    "restore": ActCode.BUILDER_RESTORED,
    "tier": ActCode.TIER_SET,
    "feature": ActCode.BUILDER_FEATURED,
    "unfeature": ActCode.BUILDER_UNFEATURED,
    "calendly-user": ActCode.USER_ASSIGNED,
    "address": ActCode.ADDRESS_SET,
}


@blueprint.get("/builders", endpoint="builders")
def list_() -> BaseResponse:
    """All builders, the newest first, or those that ``q`` finds."""
    anything, before = request.args.get("q", "")[:LONGEST_SEARCH].strip(), id_before()
    found = service.list_builders(db.session(), anything, before=before, limit=PER_PAGE + 1)
    body = render_template(
        "console/_builders.html" if is_htmx() else "console/builders.html",
        builders=found[:PER_PAGE],
        anything=anything,
        before=before,
        next_before=found[PER_PAGE - 1].id if len(found) > PER_PAGE else None,
    )
    return vary_on_htmx(make_response(body))


@blueprint.get("/builders/<slug>")
def builder(slug: str) -> str:
    """One builder: how they stand, the evidence for their tier, and what operators did."""
    session, now = db.session(), utcnow()
    found, account = service.get_builder(session, slug)
    return render_template(
        "console/builder.html",
        builder=found,
        account=account,
        evidence=service.collect_evidence(session, found),
        link=summarize_connection(session, found),
        checklist=load_checklist(session, found, now=now),
        lines=list_acts_on(session, SubjectKind.BUILDER, found.id),
        words=ACTS,
        facts=describe_facts,
    )


@blueprint.route("/builders/<slug>/<builder_act>", methods=["GET", "POST"])
def builder_act(slug: str, builder_act: str) -> BaseResponse:
    """One act on a builder, with its reason."""
    code = NAMES.get(builder_act)
    if code is None:
        raise NotFound
    found, _ = service.get_builder(db.session(), slug)
    form = _make_form(code, found)
    perform = committed(
        lambda session, decision: perform_builder_act(session, found.id, code, form.data, decision)
    )
    is_danger = code in (ActCode.BUILDER_SUSPENDED, ActCode.ADDRESS_SET)
    back = url_for(".builder", slug=slug)
    return offer_act(code, perform, about=found.display_name, back=back, form=form, is_danger=is_danger)


def _make_form(code: ActCode, found: Builder) -> ReasonForm:
    if code is ActCode.TIER_SET:
        return TierForm(data={"tier": found.tier})
    if code is ActCode.ADDRESS_SET:
        return AddressForm()
    if code is not ActCode.USER_ASSIGNED:
        return ReasonForm()
    form = UserForm()
    end_request_read()
    try:
        users = service.fetch_free_users(db.session(), services.get(CalendlyClient))
    except CalendlyError as error:
        why = describe_failure(error)
        raise Unavailable(gettext("We cannot list Calendly's users: %(why)s.", why=why)) from error
    if not users:
        raise Conflict(
            gettext(
                "Everybody in this site's Calendly organization is a builder already. Add a user in Calendly first, or "
                "let the builder connect an account of their own."
            )
        )
    form.user.choices = [(one.uri, f"{one.name}, {one.email}") for one in users]
    return form
