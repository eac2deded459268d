"""Our own list of times for one booking: the months that it shows, and what follows from choosing a time.

What is asked beside the time is in :mod:`bookingapp.checkout.time_form`, booking it in
:mod:`bookingapp.checkout.take_time`.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

import structlog
from sqlalchemy.orm import Session

from bookingapp.bookings import service as bookings
from bookingapp.bookings.models import Booking, EmailProof, RequestState
from bookingapp.bookings.slot_requests import TimeBeingTaken, find_request
from bookingapp.bookings.states import Status
from bookingapp.bookings.tracking import TrackingSigner
from bookingapp.bookings.withdrawn_types import enqueue_type_check
from bookingapp.checkout.calendly_slot import Timers
from bookingapp.checkout.take_time import LEAD, Taking, choose_time, take_time
from bookingapp.checkout.time_form import DetailsForm, Typed
from bookingapp.checkout.ways import NoList, find_listing, find_session_type
from bookingapp.core import clock, quotas
from bookingapp.core.db import end_read, transaction
from bookingapp.core.errors import Conflict, TooOften
from bookingapp.core.i18n import gettext
from bookingapp.core.visitors import mailbox
from bookingapp.integrations.calendly import (
    CalendlyClient,
    CalendlyError,
    CalendlyNotFound,
    CalendlyUnavailable,
    EventType,
)
from bookingapp.session_types.models import Ways
from bookingapp.session_types.month import MONTHS_AHEAD, Month, MonthTimes, fetch_month, find_first_free
from bookingapp.session_types.service import SPARE_BUDGET, SPARING_ANSWER
from bookingapp.session_types.times import parse_time, viewers_zone

log = structlog.get_logger(__name__)

FRESH = timedelta(seconds=5)
"""How old the times may be by which a choice is decided, or which are shown to a client who has just lost one."""
LOST = (RequestState.GONE, RequestState.REFUSED)
LOST_FOR = timedelta(minutes=5)
"""For how long a client is not offered the time again that was gone."""
THINKABLE = timedelta(days=3660)
"""How far from now a start may be so that it is worth a word about itself."""
OK, CONFLICT, UNPROCESSABLE = 200, 409, 422


class Step(enum.StrEnum):
    """From which form a request comes. A program need not say so."""

    TIMES = "times"
    DETAILS = "details"


class Next(enum.Enum):
    """Where a client goes who is not shown the list."""

    BOOKING = enum.auto()
    PAYMENT = enum.auto()
    CALENDAR = enum.auto()
    DETAILS = enum.auto()  # Of the time that was posted.


@dataclass(frozen=True)
class TimesPage:
    """The list of times, or with a ``form`` the details of one time, ``start``. ``times`` is None where there are none
    to show, for the reason that ``problem`` gives. ``kept`` are pairs of a field's name and what was typed into it.
    ``is_over`` says that no time can be chosen, so that the booking's page is the way on.
    """

    status: int
    month: Month
    timezone: str
    has_calendar: bool
    has_seats: bool = False
    times: MonthTimes | None = None
    earlier: Month | None = None
    later: Month | None = None
    first_free: datetime | None = None
    problem: str | None = None
    form: DetailsForm | None = None
    start: datetime | None = None
    kept: tuple[tuple[str, str], ...] = ()
    is_over: bool = False

    @property
    def is_start_free(self) -> bool:
        """Whether ``start`` is one of the times."""
        return self.times is not None and any(time.start_time == self.start for time in self.times.times)

    @property
    def first_free_month(self) -> Month | None:
        """The month of the first free day after an empty one."""
        return Month.of(self.first_free, self.timezone) if self.first_free else None


class TimeList:
    """The list of times of one booking, for one request. Ends the request's reading: rows are detached."""

    def __init__(
        self,
        session: Session,
        calendly: CalendlyClient,
        booking: Booking,
        *,
        timezone: str | None,
        now: datetime,
    ) -> None:
        self._session, self._calendly, self._booking, self._now = session, calendly, booking, now
        self._timezone = viewers_zone(timezone, booking.client_timezone)
        self._request = find_request(session, booking.id)
        self._type = find_session_type(session, booking)
        self._listing = find_listing(calendly, booking, self._type)

    def show(self, month: str | None, *, picked: datetime | None = None) -> TimesPage | Next:
        """A month of the list. ``picked`` is a time that the client has picked on a card."""
        if self._listing.obstacle not in (None, NoList.CALENDLY_DOWN):
            return Next.CALENDAR
        picked = self._if_thinkable(picked)
        page = self._month_page(month if month or not picked else self._name_month(picked))
        return replace(page, start=picked)

    def show_details(self, start: datetime) -> TimesPage | Next:
        """What has to be known for that time, filled with the answers of an earlier choice; the month where nothing is
        asked, or the time is not free.
        """
        page, event_type = self.show(None, picked=start), self._listing.event_type
        if not isinstance(page, TimesPage) or not page.is_start_free or event_type is None:
            return page
        form = self._form_of_earlier_choice(event_type)
        return replace(page, form=form) if form.fields else page

    def choose(self, signer: TrackingSigner, typed: Typed, *, timers: Timers) -> TimesPage | Next:
        """Choose the time that a form names, and take it where nothing has to be paid first."""
        start, event_type = parse_time(_first(typed, "start_time")), self._listing.event_type
        start = self._if_thinkable(start)
        if start is not None and self._is_under_way(start):
            return Next.BOOKING
        if event_type is None:
            return self._unlisted_page()
        posted = self._make_form(event_type, typed)
        if start is None or "show" in typed:
            page = self._month_page(_first(typed, "show") or _first(typed, "month"))
            problem = None if "show" in typed else gettext("Please choose one of these times.")
            status = OK if "show" in typed else UNPROCESSABLE
            return replace(page, status=status, problem=page.problem or problem, kept=tuple(posted.typed))
        page = self._month_page(self._name_month(start), is_deciding=True)
        problem = self._find_problem(page, start)
        if problem is not None:
            return replace(page, status=CONFLICT, problem=problem, kept=tuple(posted.typed))
        is_filled_in = posted.is_typed or _first(typed, "step") == Step.DETAILS
        form = posted if is_filled_in else self._form_of_earlier_choice(event_type)
        is_to_be_shown = bool(form.fields) and not is_filled_in and self._has_to_see_the_form(typed)
        if not is_to_be_shown and form.check():
            return self._take(signer, form, start, timers)
        if not is_filled_in:
            form.forget_errors()
        return Next.DETAILS if is_to_be_shown else replace(page, status=UNPROCESSABLE, form=form, start=start)

    def _has_to_see_the_form(self, typed: Typed) -> bool:
        """Whether a person chose on the list, who does not know what is asked, or may want to correct it. One who has
        lost a time gave all of it already.
        """
        has_lost = self._request is not None and self._request.state in LOST
        return _first(typed, "step") == Step.TIMES and not has_lost

    def _take(
        self, signer: TrackingSigner, form: DetailsForm, start: datetime, timers: Timers
    ) -> TimesPage | Next:
        booking, choice, now = self._booking, form.choice(start), self._now
        if booking.is_free and booking.email_proof is not EmailProof.LINK:
            # Calendly invites them, who never asked for it, and no card stands behind it.
            wait = quotas.try_spend_each(
                *((quotas.UNVERIFIED_MAILBOX, mailbox(guest)) for guest in choice.guests)
            )
            if wait:
                raise TooOften(quotas.too_often(wait), retry_after=wait)
        self._adopt_zone()
        try:
            if choose_time(self._session, ref=booking.ref, choice=choice, timers=timers, now=now):
                return Next.PAYMENT
        except Conflict as conflict:
            return self._find_way_on(start, conflict)
        try:
            taking = take_time(
                self._session, self._calendly, signer, booking_id=booking.id, timers=timers, now=now
            )
        except (CalendlyError, TimeBeingTaken) as error:
            # The worker goes on, and the booking's page says so.
            log.info("time_unknown", booking=booking.id, error=type(error).__name__)
            return Next.BOOKING
        if taking is Taking.REFUSED:
            return self._refused_page()
        if taking is not Taking.GONE:
            return Next.BOOKING
        page = _without(self._month_page(self._name_month(start), is_deciding=True), start)
        return replace(page, status=CONFLICT, problem=self._say_gone(start), kept=tuple(form.typed))

    def _adopt_zone(self) -> None:
        """Make the zone of the list the booking's, so that its pages, Stripe and Calendly have it too."""
        if self._timezone == self._booking.client_timezone:
            return
        with transaction(self._session):
            booking = bookings.lock_booking(self._session, self._booking.id)
            if booking.status is Status.PENDING:
                booking.client_timezone = self._timezone

    def _find_way_on(self, start: datetime, conflict: Conflict) -> TimesPage | Next:
        """Where a client goes whose booking cannot have the time: it changed while the list was open."""
        self._request = find_request(self._session, self._booking.id)
        end_read(self._session)
        if self._is_under_way(start):
            return Next.BOOKING
        month = Month.of(self._now, self._timezone)
        return TimesPage(
            CONFLICT, month, self._timezone, has_calendar=False, problem=conflict.message, is_over=True
        )

    def _if_thinkable(self, start: datetime | None) -> datetime | None:
        """The start, unless it is so far away that it cannot be meant."""
        return start if start is not None and abs(start - self._now) < THINKABLE else None

    def _is_under_way(self, start: datetime) -> bool:
        """Whether it is the time that is being booked, or was: a second click."""
        request = self._request
        states = (RequestState.ASKING, RequestState.TAKEN)
        return request is not None and request.starts_at == start and request.state in states

    def _month_page(self, named: str | None, *, is_deciding: bool = False) -> TimesPage:
        """The page of a month, as an address or a form names it."""
        now, timezone = self._now, self._timezone
        month, this = Month.parse(named, now=now, timezone=timezone), Month.of(now, timezone)
        page = TimesPage(OK, month, timezone, has_calendar=self._type.ways is not Ways.TIMES)
        event_type = self._listing.event_type
        if event_type is None:
            return replace(page, problem=gettext(CalendlyUnavailable.user_message))
        tenant, uri, lost = self._booking.builder.tenant, self._booking.event_type_uri, self._lost_start()
        at_most = self._decisive_age() if is_deciding or lost is not None else None
        try:
            times = fetch_month(
                self._calendly, tenant, uri, month, timezone, now=now, lead=LEAD, at_most=at_most
            )
        except CalendlyError as error:
            if isinstance(error, CalendlyNotFound):
                # It was deleted, and no webhook has said so.
                with transaction(self._session):
                    occasion = f"not-found-{now:%Y%m%d%H}"
                    enqueue_type_check(self._session, uri, occasion=occasion, now=now)
            return replace(page, problem=gettext(error.user_message))
        page = replace(
            page,
            times=times,
            has_seats=event_type.is_group,
            earlier=month.plus(-1) if month > this else None,
            later=month.plus(1) if month < this.plus(MONTHS_AHEAD) else None,
        )
        page = _without(page, lost) if lost is not None else page
        if page.times is not None and not page.times.times:
            free = find_first_free(self._calendly, tenant, uri, month, timezone, now=now, lead=LEAD)
            page = replace(page, first_free=free)
        return page

    def _find_problem(self, page: TimesPage, start: datetime) -> str | None:
        """Why the time cannot be chosen, in a sentence."""
        if page.times is None:
            return page.problem
        if not replace(page, start=start).is_start_free:
            return self._say_gone(start)
        if page.times.as_of is not None and not self._booking.is_free:
            # No client is sent to pay for a time that was free some time ago.
            return gettext(CalendlyUnavailable.user_message)
        return None

    def _say_gone(self, start: datetime) -> str:
        return gettext(
            "%(time)s is not available any more. Please choose another time.",
            time=clock.day_time(start, self._timezone),
        )

    def _unlisted_page(self) -> TimesPage:
        if self._listing.obstacle is NoList.CALENDLY_DOWN:
            return replace(self._month_page(None), status=CONFLICT)
        return self._refused_page()

    def _refused_page(self) -> TimesPage:
        month = Month.of(self._now, self._timezone)
        problem = gettext("This session cannot be booked from our list right now. Nothing was booked.")
        return TimesPage(CONFLICT, month, self._timezone, has_calendar=True, problem=problem)

    def _make_form(self, event_type: EventType, typed: Typed | None) -> DetailsForm:
        return DetailsForm(
            event_type,
            builder_name=self._booking.builder.display_name,
            allows_guests=self._type.allows_guests,
            typed=typed,
        )

    def _form_of_earlier_choice(self, event_type: EventType) -> DetailsForm:
        """The form with what the client gave for the time that they chose before."""
        empty = self._make_form(event_type, None)
        if self._request is None:
            return empty
        return self._make_form(event_type, empty.from_details(self._request.details))

    def _lost_start(self) -> datetime | None:
        """The start that the client has just lost: answers that are a little old still have it."""
        request = self._request
        is_lost = request is not None and request.state is RequestState.GONE
        return (
            request.starts_at if request and is_lost and request.updated_at > self._now - LOST_FOR else None
        )

    def _decisive_age(self) -> timedelta:
        """How old an answer may be that decides. Choosing again and again must not spend all of Calendly's limit."""
        budget = self._calendly.budget_left(self._booking.builder.tenant)
        return FRESH if budget >= SPARE_BUDGET else SPARING_ANSWER

    def _name_month(self, start: datetime) -> str:
        return str(Month.of(start, self._timezone))


def _first(typed: Typed, name: str) -> str | None:
    return next(iter(typed.get(name, ())), None)


def _without(page: TimesPage, start: datetime) -> TimesPage:
    """The page without that time."""
    if page.times is None:
        return page
    kept = tuple(time for time in page.times.times if time.start_time != start)
    return replace(page, times=replace(page.times, times=kept))
