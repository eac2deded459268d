"""Keeping the no-show mark in Calendly equal to ours."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy.orm import Session

from bookingapp.bookings import attention
from bookingapp.bookings import service as bookings
from bookingapp.bookings.attendance import NO_SHOW_JOB
from bookingapp.bookings.codes import FlagCode
from bookingapp.bookings.models import Booking
from bookingapp.builders.models import Builder
from bookingapp.core.db import end_read, transaction
from bookingapp.core.i18n import lazy_gettext
from bookingapp.core.jobs import job
from bookingapp.integrations.calendly import (
    CalendlyClient,
    CalendlyForbidden,
    CalendlyNotFound,
    CalendlyRejected,
)

ROUNDS = 3


@job(NO_SHOW_JOB, label=lazy_gettext("the no-show mark in Calendly"), flag=FlagCode.NO_SHOW_NOT_SENT)
def sync_no_show(session: Session, calendly: CalendlyClient, *, booking_id: int, now: datetime) -> None:
    """Create or delete Calendly's no-show mark to match the booking, which may change meanwhile. Safe to repeat after a
    crash at any point. Raises the client's errors; the job is then retried.
    """
    for _ in range(ROUNDS):
        booking = session.get(Booking, booking_id)
        tenant = session.get_one(Builder, booking.builder_id).tenant if booking is not None else ""
        end_read(session)
        if booking is None or booking.invitee_uri is None:
            return
        is_missing, uri = booking.no_show_at is not None, booking.no_show_uri
        if is_missing == (uri is not None):
            return
        made = None
        try:
            if uri is None:
                made = _create_mark(calendly, tenant, booking.invitee_uri)
            else:
                _delete_mark(calendly, tenant, uri)
        except (CalendlyRejected, CalendlyForbidden, CalendlyNotFound):
            with transaction(session):
                booking = bookings.lock_booking(session, booking_id)
                attention.flag(booking, FlagCode.NO_SHOW_NOT_SENT, now=now)
            return
        with transaction(session):
            locked = bookings.lock_booking(session, booking_id)
            if locked.invitee_uri != booking.invitee_uri:
                return
            locked.no_show_uri = made
            locked.no_show_undone_uri = uri or locked.no_show_undone_uri


def _create_mark(calendly: CalendlyClient, tenant: str, invitee_uri: str) -> str:
    """Create the mark, or find the one that an earlier try created; returns its canonical URI."""
    there = calendly.invitee(tenant, invitee_uri).no_show
    made = there or calendly.create_no_show(tenant, invitee_uri)
    return calendly.canonical_no_show_uri(made.uri)


def _delete_mark(calendly: CalendlyClient, tenant: str, uri: str) -> None:
    try:
        calendly.delete_no_show(tenant, uri)
    except CalendlyNotFound:
        return  # Deleted already.
