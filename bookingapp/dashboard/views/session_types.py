"""The builder's session types: prices, publishing, their order, and the check whether clients can book one."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from flask import Response, flash, make_response, render_template, request, url_for
from werkzeug.wrappers import Response as BaseResponse

from bookingapp.builders.guard import current_builder
from bookingapp.core import services
from bookingapp.core.addresses import absolute_url
from bookingapp.core.clock import utcnow
from bookingapp.core.db import db, transaction
from bookingapp.core.errors import Invalid, NotFound, Unavailable
from bookingapp.core.htmx import is_htmx, see_other, vary_on_htmx
from bookingapp.core.i18n import gettext
from bookingapp.dashboard import price_list
from bookingapp.dashboard.views.blueprint import blueprint
from bookingapp.dashboard.words import setup as setup_words
from bookingapp.dashboard.words.outcomes import describe_outcome
from bookingapp.integrations.calendly import CalendlyClient, CalendlyError
from bookingapp.session_types import order
from bookingapp.session_types import service as session_types
from bookingapp.session_types.forms import PriceForm
from bookingapp.session_types.models import Category, SessionType, Ways
from bookingapp.session_types.service import Priced
from bookingapp.session_types.setup import check_setup


@blueprint.get("/session-types")
def prices() -> Response:
    """Every event type with its price; 503 while Calendly does not answer."""
    try:
        return make_response(_list_page(*_fetch()))
    except Unavailable as error:
        return make_response(_list_page((), None, unavailable_message=error.message), 503)


@blueprint.post("/session-types/<event_type_id>/move")
def move(event_type_id: str) -> Response | BaseResponse:
    """Let a type change places with its neighbor: ``direction`` is ``up`` or ``down``."""
    (items, _), direction = _fetch(), request.form.get("direction")
    _find(items, event_type_id)
    if direction not in ("up", "down"):
        raise NotFound
    with transaction(db.session()) as database:
        order.move_type(database, current_builder(), items, event_type_id, up=direction == "up")
    if not is_htmx():
        return _to_type(event_type_id)
    return vary_on_htmx(make_response(_list_page(*_fetch(), is_moved=True)))


@blueprint.get("/session-types/<event_type_id>/check")
def check(event_type_id: str) -> Response:
    """What keeps clients from booking a type, finding by finding; 503 while Calendly does not answer."""
    title, setup, message = gettext("Set-up"), None, None
    try:
        priced = _find(_fetch()[0], event_type_id)
    except Unavailable as error:
        message = error.message
    else:
        title = price_list.title_of(priced)
        setup = check_setup(
            services.get(CalendlyClient),
            current_builder().tenant,
            priced.event_type,
            priced.session_type,
            host=current_builder().calendly_user,
            redirect_to=absolute_url("checkout.landed"),
            now=utcnow(),
        )
    body = render_template(
        "dashboard/_setup.html" if is_htmx() else "dashboard/setup.html",
        builder=current_builder(),
        id=event_type_id,
        title=title,
        setup=setup,
        words=setup_words,
        message=message,
    )
    return vary_on_htmx(make_response(body, 200 if setup else 503))


@blueprint.post("/session-types/<event_type_id>")
def publish(event_type_id: str) -> Response | BaseResponse:
    """Price, publish or hide one event type; 422 with what was typed where it is refused."""
    items, _ = _fetch()
    priced, form = _find(items, event_type_id), PriceForm(prefix=event_type_id)
    row = _save(priced, form) if form.validate_on_submit() else None
    open_prices = price_list.list_open_prices(db.session(), current_builder())
    if row is not None and not is_htmx():
        flash(gettext("Saved: %(title)s.", title=price_list.title_of(priced)), "ok")
        for sentence in price_list.describe_kept_prices(open_prices.get(row.id, ()), row):
            flash(sentence, "info")
        return _to_type(event_type_id)
    if is_htmx():
        priced = Priced(priced.event_type, row or priced.session_type)
        item = price_list.describe_item(
            priced, form, _type_address, open_prices=open_prices, saved=row is not None
        )
        body = render_template("dashboard/_session_type.html", item=item, builder=current_builder())
    else:
        body = _list_page(items, None, typed=(event_type_id, form))
    return vary_on_htmx(make_response(body, 422 if row is None else 200))


@blueprint.post("/session-types/<event_type_id>/card")
def preview_card(event_type_id: str) -> Response:
    """The card with what was typed; stores nothing. Without htmx the whole page with what was typed."""
    items, _ = _fetch()
    priced, form = _find(items, event_type_id), PriceForm(prefix=event_type_id)
    if is_htmx():
        item = price_list.describe_item(priced, form, _type_address, open_prices={})
        body = render_template("dashboard/_card_preview.html", item=item, builder=current_builder())
    else:
        body = _list_page(items, None, typed=(event_type_id, form))
    return vary_on_htmx(make_response(body))


def _fetch() -> tuple[list[Priced], datetime | None]:
    """The builder's event types, and of when the list is where it is old. Raises :class:`Unavailable`."""
    try:
        return session_types.fetch_price_list(db.session(), services.get(CalendlyClient), current_builder())
    except CalendlyError as error:
        why = describe_outcome(error.category, {})
        raise Unavailable(gettext("We cannot read your Calendly. %(failure)s.", failure=why)) from error


def _find(items: Sequence[Priced], event_type_id: str) -> Priced:
    """Raises :class:`NotFound` for an event type that is not the builder's."""
    for priced in items:
        if priced.event_type.id == event_type_id:
            return priced
    raise NotFound


def _list_page(
    items: Sequence[Priced],
    as_of: datetime | None,
    *,
    is_moved: bool = False,
    typed: tuple[str, PriceForm] | None = None,
    unavailable_message: str | None = None,
) -> str:
    """The page; after a move (``is_moved``) its list, in which each form stays as it is in the browser."""
    builder, calendly = current_builder(), services.get(CalendlyClient)
    # What Calendly does not list any more is only known while it answers.
    is_known = unavailable_message is None
    return render_template(
        "dashboard/_session_types.html" if is_moved else "dashboard/session_types.html",
        is_moved=is_moved,
        builder=builder,
        items=price_list.describe_items(
            items,
            builder,
            _type_address,
            open_prices=price_list.list_open_prices(db.session(), builder),
            typed=typed,
        ),
        gone=price_list.list_vanished_types(db.session(), calendly, builder, items, now=utcnow())
        if is_known
        else (),
        as_of=as_of,
        unavailable_message=unavailable_message,
    )


def _save(priced: Priced, form: PriceForm) -> SessionType | None:
    """The stored row; None where the price is refused, which the form then says."""
    uri = services.get(CalendlyClient).canonical_event_type_uri(priced.event_type.uri)
    try:
        with transaction(db.session()) as database:
            return session_types.publish_type(
                database,
                builder=current_builder(),
                event_type_uri=uri,
                price=form.price.data or "",
                currency=form.currency.data,
                category=Category(form.category.data),
                published=bool(form.published.data),
                requires_sign_in=form.requires_sign_in(),
                ways=Ways(form.ways.data),
                allows_guests=bool(form.allows_guests.data),
                now=utcnow(),
            )
    except Invalid as error:
        form.price.errors = [*form.price.errors, error.message]
        return None


def _type_address(event_type_id: str) -> str:
    return absolute_url("bookings.new", slug=current_builder().slug, event_type_id=event_type_id)


def _to_type(event_type_id: str) -> BaseResponse:
    return see_other(url_for(".prices", _anchor=f"session-type-{event_type_id}"))
