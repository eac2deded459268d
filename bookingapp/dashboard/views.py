"""The dashboard."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime

from flask import Blueprint, Response, flash, g, make_response, render_template, request, url_for
from werkzeug.wrappers import Response as BaseResponse

from bookingapp.accounts.guard import current_account, require_account
from bookingapp.bookings.attendance import can_mark_no_show
from bookingapp.bookings.states import Status
from bookingapp.builders.models import Availability, Builder
from bookingapp.builders.service import get_by_account, has_profile
from bookingapp.checkout.presenter import STATUS_LABELS, present_booking
from bookingapp.connections import service as connections
from bookingapp.connections.audit import list_audit
from bookingapp.core import services
from bookingapp.core.clock import utcnow
from bookingapp.core.db import db, transaction
from bookingapp.core.errors import Invalid, NotFound, Unavailable
from bookingapp.core.htmx import is_htmx, see_other, vary_on_htmx
from bookingapp.core.money import price_text
from bookingapp.core.security import allow_sources, origin
from bookingapp.core.settings import Settings
from bookingapp.dashboard import connection as checks
from bookingapp.dashboard import connection_words, service, setup_words, subscription
from bookingapp.dashboard.evidence import build_evidence
from bookingapp.dashboard.forms import ProfileForm
from bookingapp.dashboard.money import list_money
from bookingapp.integrations.calendly import CalendlyClient, CalendlyError, OAuthClient
from bookingapp.payments.service import summarize_money
from bookingapp.session_types import order
from bookingapp.session_types import service as session_types
from bookingapp.session_types.forms import PriceForm
from bookingapp.session_types.models import Category, PriceState
from bookingapp.session_types.setup import check_setup

blueprint = Blueprint("dashboard", __name__, url_prefix="/dashboard")
blueprint.before_request(require_account)


@blueprint.after_request
def _private(response: Response) -> Response:
    response.headers["Cache-Control"] = "no-store"
    return response


def _me() -> Builder:
    if "builder" not in g:
        account = current_account()
        if account is None:
            raise NotFound
        g.builder = get_by_account(db.session(), account.id)
    builder: Builder = g.builder
    return builder


@blueprint.get("")
def index() -> str | BaseResponse:
    """What comes next, and what needs a look. An operator who is no builder has the deliveries to look at."""
    account = current_account()
    if account is not None and account.is_operator and not has_profile(db.session(), account.id):
        return see_other(url_for("deliveries.index"))
    builder = _me()
    seen = service.load_overview(db.session(), builder, now=utcnow())
    return render_template(
        "dashboard/index.html",
        builder=builder,
        upcoming=seen.upcoming,
        needs_attention=seen.needs_attention,
        counts=seen.counts,
    )


@blueprint.get("/bookings")
def bookings() -> str:
    """All bookings, newest first."""
    builder = _me()
    status = request.args.get("status", "")
    page = max(1, request.args.get("page", 1, type=int))
    rows, pages = service.list_bookings(db.session(), builder, status=status, page=page)
    statuses = [(choice.value, STATUS_LABELS[choice]) for choice in Status]
    return render_template(
        "dashboard/bookings.html",
        builder=builder,
        rows=rows,
        status_filter=status,
        statuses=statuses,
        page=page,
        pages=pages,
    )


@blueprint.get("/bookings/<ref>")
def booking(ref: str) -> str:
    """One booking with its history."""
    builder, session = _me(), db.session()
    found = service.get_booking(session, builder, ref)
    found.builder = builder
    return render_template(
        "dashboard/booking.html",
        builder=builder,
        row=service.booking_rows(session, [found])[0],
        b=present_booking(found, summarize_money(session, found), now=utcnow()),
        history=service.list_history(session, found),
        can_mark=can_mark_no_show(found, now=utcnow()),
        said=service.slot_source(found),
        account=list_money(session, found),
    )


@blueprint.get("/bookings/<ref>/evidence")
def evidence(ref: str) -> Response:
    """What we know of one of one's own bookings, to answer a dispute with."""
    found = service.get_booking(db.session(), _me(), ref)
    found.builder = _me()
    # Not the booking's own page, whose address is its client's key and none of a bank's business.
    address = services.get(Settings).public_url + url_for("builders.profile", slug=found.builder.slug)
    response = make_response(build_evidence(db.session(), found, address=address, now=utcnow()))
    response.headers["Content-Type"] = "application/zip"
    response.headers["Content-Disposition"] = f'attachment; filename="evidence-{found.id}.zip"'
    return response


@dataclass(frozen=True)
class Item:
    """One event type on the price page."""

    id: str
    title: str
    duration_minutes: int
    active: bool
    secret: bool
    is_paid: bool
    form: PriceForm
    state: PriceState
    note: str | None
    direct_url: str | None
    saved: bool = False
    place: str | None = None
    can_move_up: bool = False
    can_move_down: bool = False


@blueprint.get("/session-types")
def prices() -> Response:
    """Every event type with its price."""
    builder = _me()
    try:
        items, as_of = _price_list(builder)
    except CalendlyError as error:
        body = render_template(
            "dashboard/session_types.html",
            builder=builder,
            items=[],
            gone=[],
            as_of=None,
            unavailable_message=error.user_message,
        )
        return make_response(body, 503)
    return make_response(_prices_page(builder, items, as_of))


def _prices_page(
    builder: Builder,
    items: list[session_types.Priced],
    as_of: datetime | None,
    *,
    template: str = "dashboard/session_types.html",
    typed: tuple[str, PriceForm] | None = None,
) -> str:
    """The list; ``typed`` is the form of one type (by its id) as it was sent in, where it was refused."""
    shown = []
    for item in items:
        form = typed[1] if typed and typed[0] == item.event_type.id else _filled(item, builder)
        before, after = order.find_neighbors(items, item.event_type.id)
        up, down = before is not None, after is not None
        place = item.session_type.category.label if item.session_type and (up or down) else None
        shown.append(replace(_item(item, form), place=place, can_move_up=up, can_move_down=down))
    vanished = session_types.list_vanished(db.session(), services.get(CalendlyClient), builder, items)
    return render_template(
        template,
        builder=builder,
        items=shown,
        gone=service.describe_vanished(db.session(), vanished, now=utcnow()),
        as_of=as_of,
        unavailable_message=None,
    )


@blueprint.post("/session-types/<event_type_id>/move")
def move(event_type_id: str) -> Response | BaseResponse:
    """Let one's own type change places with its neighbor: ``direction`` is ``up`` or ``down``."""
    builder = _me()
    try:
        items, as_of = _price_list(builder)
    except CalendlyError as error:
        raise Unavailable(error.user_message) from error
    direction = request.form.get("direction")
    if direction not in ("up", "down") or all(item.event_type.id != event_type_id for item in items):
        raise NotFound
    with transaction(db.session()) as database:
        order.move_type(database, builder, items, event_type_id, up=direction == "up")
    if not is_htmx():
        return see_other(url_for(".prices", _anchor=f"session-type-{event_type_id}"))
    items, as_of = _price_list(builder)
    body = _prices_page(builder, items, as_of, template="dashboard/_session_types.html")
    return vary_on_htmx(make_response(body))


@blueprint.get("/session-types/<event_type_id>/check")
def check(event_type_id: str) -> Response:
    """Whether clients can book one of one's own types, in words; 503 where Calendly is silent."""
    builder, calendly = _me(), services.get(CalendlyClient)
    template = "dashboard/_setup.html" if is_htmx() else "dashboard/setup.html"
    try:
        items, _ = _price_list(builder)
    except CalendlyError as error:
        body = render_template(
            template,
            builder=builder,
            id=event_type_id,
            title="Set-up",
            setup=None,
            message=error.user_message,
        )
        return vary_on_htmx(make_response(body, 503))
    item = next((item for item in items if item.event_type.id == event_type_id), None)
    if item is None:
        raise NotFound
    redirect_to = services.get(Settings).public_url + url_for("checkout.landed")
    found = check_setup(
        calendly, builder.tenant, item.event_type, item.session_type, redirect_to=redirect_to, now=utcnow()
    )
    title = item.event_type.name or session_types.UNNAMED
    body = render_template(
        template, builder=builder, id=event_type_id, title=title, setup=found, words=setup_words, message=None
    )
    return vary_on_htmx(make_response(body))


@blueprint.post("/session-types/<event_type_id>")
def publish(event_type_id: str) -> Response | BaseResponse:
    """Price, publish or hide one event type of one's own."""
    builder = _me()
    try:
        items, _ = _price_list(builder)
    except CalendlyError as error:
        raise Unavailable(error.user_message) from error
    item = next((item for item in items if item.event_type.id == event_type_id), None)
    if item is None:
        raise NotFound
    form = PriceForm(prefix=event_type_id)
    saved = form.validate_on_submit() and _save(builder, item, form)
    if saved and not is_htmx():
        flash(f"Saved: {item.event_type.name or session_types.UNNAMED}.", "ok")
        return see_other(url_for(".prices", _anchor=f"session-type-{event_type_id}"))
    if saved:
        row = session_types.list_prices(db.session(), builder).get(
            services.get(CalendlyClient).canonical_event_type_uri(item.event_type.uri)
        )
        item = session_types.Priced(item.event_type, row)
    shown = _item(item, form, saved=saved)
    if is_htmx():
        body = render_template("dashboard/_session_type.html", item=shown, builder=builder)
    else:
        body = _prices_page(builder, items, None, typed=(event_type_id, form))
    return vary_on_htmx(make_response(body, 200 if saved else 422))


def _price_list(builder: Builder) -> tuple[list[session_types.Priced], datetime | None]:
    return session_types.fetch_price_list(db.session(), services.get(CalendlyClient), builder)


def _save(builder: Builder, item: session_types.Priced, form: PriceForm) -> bool:
    uri = services.get(CalendlyClient).canonical_event_type_uri(item.event_type.uri)
    try:
        with transaction(db.session()) as database:
            session_types.publish_type(
                database,
                builder=builder,
                event_type_uri=uri,
                price=form.price.data or "",
                currency=form.currency.data,
                category=Category(form.category.data),
                published=bool(form.published.data),
                requires_sign_in=form.requires_sign_in(),
                now=utcnow(),
            )
    except Invalid as error:
        form.price.errors = [*form.price.errors, error.message]
        return False
    return True


def _filled(item: session_types.Priced, builder: Builder) -> PriceForm:
    row = item.session_type
    return PriceForm(
        formdata=None,
        prefix=item.event_type.id,
        data={
            "price": price_text(row.price_minor, row.currency) if row else "",
            "currency": row.currency if row else builder.default_currency,
            "category": (row.category if row else Category.OTHER).value,
            "sign_in": PriceForm.sign_in_choice(row),
            "published": row.published if row else True,
        },
    )


def _item(item: session_types.Priced, form: PriceForm, *, saved: bool = False) -> Item:
    event_type, builder = item.event_type, _me()
    note = None
    if item.state is PriceState.INACTIVE:
        note = "Switched off in Calendly: nobody can book it, whatever is set here."
    elif item.state is PriceState.POLL:
        note = "A meeting poll in Calendly: it cannot be booked on the spot, so clients do not see it."
    elif event_type.is_paid:
        note = (
            "Calendly itself asks for a payment here. Switch that off in Calendly, so that nobody pays twice."
        )
    elif event_type.secret:
        note = "Marked as secret in Calendly, so it is not shown on your profile."
    direct_url = None
    if event_type.secret and item.state is PriceState.PUBLISHED:
        note = (
            "Marked as secret in Calendly: your profile does not list it, and who has its link can book it."
        )
        address = url_for("bookings.new", slug=builder.slug, event_type_id=event_type.id)
        direct_url = services.get(Settings).public_url + address
    return Item(
        id=event_type.id,
        title=event_type.name or session_types.UNNAMED,
        duration_minutes=event_type.duration,
        active=item.state is not PriceState.INACTIVE,
        secret=event_type.secret,
        is_paid=event_type.is_paid,
        form=form,
        state=item.state,
        note=note,
        direct_url=direct_url,
        saved=saved,
    )


@blueprint.get("/connection")
def connection() -> str:
    """Whether Calendly and the webhooks work."""
    builder = _me()
    waiting, dead = service.waiting_deliveries(db.session())
    found = checks.check_connection(services.get(CalendlyClient), builder, waiting=waiting, dead=dead)
    found.append(subscription.describe_subscription(db.session(), builder, now=utcnow()))
    # The button's answer leads to Calendly, which browsers check against form-action too.
    allow_sources(form_action=origin(services.get(Settings).calendly_auth_url))
    # After the check, which may just have found out that the connection is dead.
    mine = get_by_account(db.session(), builder.account_id)
    link = connections.summarize_connection(db.session(), mine)
    return render_template(
        "dashboard/connection.html",
        builder=builder,
        checks=found,
        link=link,
        reason=connection_words.describe_reason(link.reason, link.reason_facts) if link.reason else None,
        missing=connection_words.describe_scopes(link.missing),
        can_connect=services.get(OAuthClient).is_configured,
        history=[
            (one.at, connection_words.describe_act(one)) for one in list_audit(db.session(), builder.id)
        ],
    )


@blueprint.route("/profile", methods=["GET", "POST"])
def profile() -> Response | BaseResponse:
    """What clients read."""
    builder = _me()
    form = ProfileForm(
        data={
            "display_name": builder.display_name,
            "headline": builder.headline,
            "bio": builder.bio,
            "skills": ", ".join(builder.skills),
            "timezone": builder.timezone,
            "availability": builder.availability.value,
            "listed": builder.listed,
        }
    )
    if request.method == "GET":
        return make_response(render_template("dashboard/profile.html", builder=builder, form=form))
    if not form.validate_on_submit():
        return make_response(render_template("dashboard/profile.html", builder=builder, form=form), 422)
    with transaction(db.session()) as database:
        mine = database.get_one(Builder, builder.id)
        mine.display_name, mine.headline = form.display_name.data or "", form.headline.data or ""
        mine.bio, mine.skills = form.bio.data or "", form.skill_list()
        mine.timezone, mine.availability = form.timezone.data, Availability(form.availability.data)
        mine.listed = bool(form.listed.data)
    flash("Your profile is saved.", "ok")
    return see_other(url_for(".profile"))
