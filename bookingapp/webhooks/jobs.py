"""The jobs of the outbox that stand on the webhooks' side; those of a single booking are the checkout's."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any, Final

from sqlalchemy.orm import Session

from bookingapp.bookings.service import FIND_TIME_JOB
from bookingapp.bookings.withdrawn_types import LOOK_AT_TYPE_JOB
from bookingapp.sync import reconciliation
from bookingapp.sync.calendly_events import CATCH_UP_JOB, check_event_type, fetch_missed_invitees
from bookingapp.sync.missing_time import find_missing_time
from bookingapp.sync.reconciliation import RECONCILE
from bookingapp.sync.subscription_checks import WATCH, check_subscriptions
from bookingapp.webhooks.handlers import Context
from bookingapp.webhooks.retention import RETENTION, delete_old_bodies

PERIODIC: Final = (WATCH, RECONCILE, RETENTION)
"""What a worker sees to when it starts: that each has a next time."""

Job = Callable[[Session, Mapping[str, Any], datetime], None]


def jobs(context: Context) -> Mapping[str, Job]:
    """The functions that a row of the outbox may name, with their collaborators."""

    def _watch(session: Session, _args: Mapping[str, Any], now: datetime) -> None:
        check_subscriptions(session, context, now=now)

    def _catch_up(session: Session, args: Mapping[str, Any], now: datetime) -> None:
        since = datetime.fromtimestamp(args["since"], UTC)
        fetch_missed_invitees(session, context, builder_id=args["builder_id"], since=since, now=now)

    def _look_at_type(session: Session, args: Mapping[str, Any], now: datetime) -> None:
        check_event_type(session, context, event_type_uri=args["event_type_uri"], now=now)

    def _forget_old(session: Session, _args: Mapping[str, Any], now: datetime) -> None:
        delete_old_bodies(session, now=now)

    def _find_time(session: Session, args: Mapping[str, Any], now: datetime) -> None:
        find_missing_time(session, context, booking_id=args["booking_id"], is_last=args["last"], now=now)

    def _reconcile(session: Session, _args: Mapping[str, Any], now: datetime) -> None:
        reconciliation.reconcile_hourly(session, context, now=now)

    def _ask_about_booking(session: Session, args: Mapping[str, Any], now: datetime) -> None:
        reconciliation.reconcile_money(session, context, booking_id=args["booking_id"], now=now)

    def _ask_about_builder(session: Session, args: Mapping[str, Any], now: datetime) -> None:
        reconciliation.reconcile_times(session, context, builder_id=args["builder_id"], now=now)

    return {
        WATCH.name: _watch,
        RETENTION.name: _forget_old,
        RECONCILE.name: _reconcile,
        reconciliation.BOOKING_JOB: _ask_about_booking,
        reconciliation.BUILDER_JOB: _ask_about_builder,
        CATCH_UP_JOB: _catch_up,
        LOOK_AT_TYPE_JOB: _look_at_type,
        FIND_TIME_JOB: _find_time,
    }
