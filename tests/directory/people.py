"""Many builders at once, in one transaction, and what the directory shows of them."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode

from sqlalchemy.orm import Session

from bookingapp.accounts.models import Account
from bookingapp.builders.models import Builder
from bookingapp.core.db import transaction
from bookingapp.session_types.models import FreeTime, SessionType
from tests.factories import NOW, event_type_uri, number, user_uri
from tests.pages import HTMX, Page, PageClient


def add_builders(session: Session, *given: dict[str, Any]) -> list[Builder]:
    """Builders with these columns. ``types`` are their session types: (price in minor units, currency), or with more
    columns as a dictionary, where ``free_at`` and ``checked_at`` are the fact about its next free time. Commits.
    """
    made = []
    with transaction(session):
        for one in given:
            values = dict(one)
            types = values.pop("types", ())
            made.append(_add_builder(session, values))
            session.flush()
            for given_type in types:
                _add_type(session, made[-1], given_type)
    return made


def _add_builder(session: Session, values: dict[str, Any]) -> Builder:
    n = number()
    slug = values.get("slug") or values["display_name"].lower().replace(" ", "-")
    account = Account(
        email=f"{slug}-{n}@example.com", name=slug, password_hash="x", is_operator=False, created_at=NOW
    )
    session.add(account)
    session.flush()
    builder = Builder(
        **{
            "account_id": account.id,
            "slug": slug,
            "headline": "",
            "bio": "",
            "calendly_user_uri": user_uri(f"USER{n:012}"),
            "created_at": NOW,
            **values,
        }
    )
    session.add(builder)
    return builder


def _add_type(session: Session, builder: Builder, given: tuple[int, str] | dict[str, Any]) -> None:
    values: dict[str, Any] = (
        dict(given) if isinstance(given, dict) else {"price_minor": given[0], "currency": given[1]}
    )
    free_at, checked_at = values.pop("free_at", None), values.pop("checked_at", None)
    row = SessionType(
        builder_id=builder.id,
        **{"event_type_uri": event_type_uri(f"TYPE{number():012}"), "updated_at": NOW, **values},
    )
    session.add(row)
    session.flush()
    if checked_at is not None:
        session.add(FreeTime(session_type_id=row.id, next_at=free_at, checked_at=checked_at))


def shown(page: Page) -> list[str]:
    """The slugs of the builders on a page, in order."""
    return [str(link["href"]).rsplit("/", 1)[1] for link in page.select("#builder-results h3 a")]


def search(client: PageClient, **query: str) -> list[str]:
    """The slugs that the directory shows for these parameters."""
    return shown(client.page(f"/?{urlencode(query)}", headers=HTMX))
