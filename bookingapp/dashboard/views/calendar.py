"""The builder's bookings as a calendar: a month, or a week."""

from __future__ import annotations

from flask import render_template, request

from bookingapp.builders.guard import current_builder
from bookingapp.core.clock import utcnow
from bookingapp.core.db import db
from bookingapp.dashboard import calendar
from bookingapp.dashboard.views.blueprint import blueprint


@blueprint.get("/bookings/calendar")
def booking_calendar() -> str:
    """The month of ``month=2026-11`` or the week of ``week=2026-11-25``; without either, the present month."""
    builder, session, now = current_builder(), db.session(), utcnow()
    monday = calendar.week_of(request.args.get("week", ""))
    today = calendar.today_in(builder.timezone, now)
    if monday is not None:
        sheet = calendar.load_week(session, builder.id, builder.timezone, monday, now=now)
    else:
        first = calendar.month_of(request.args.get("month", "")) or today.replace(day=1)
        sheet = calendar.load_month(session, builder.id, builder.timezone, first, now=now)
    return render_template("dashboard/calendar.html", builder=builder, sheet=sheet)
