"""The job that deletes what is kept no longer."""

from __future__ import annotations

from datetime import datetime, timedelta

from sqlalchemy.orm import Session

from bookingapp.accounts.events import delete_old_events
from bookingapp.accounts.links import delete_old_links
from bookingapp.accounts.log_ins import delete_old_log_ins
from bookingapp.core.db import transaction
from bookingapp.core.i18n import lazy_gettext
from bookingapp.core.jobs import job


@job("accounts.delete_old", label=lazy_gettext("deleting old log-ins"), every=timedelta(days=1))
def delete_old(session: Session, now: datetime) -> None:
    """Delete log-ins and security events of more than a year ago, and links that ended 30 days ago."""
    with transaction(session):
        delete_old_log_ins(session, now=now)
        delete_old_events(session, now=now)
        delete_old_links(session, now=now)
