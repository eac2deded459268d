"""Everything that a newcomer gets wrong, checked in one run: ``flask doctor`` prints it.

Each check yields findings. One that is not good says what to do. Settings are checked before, at the start.
"""

from __future__ import annotations

import enum
import json
import secrets
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Final, NamedTuple

import sqlalchemy as sa
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session

from bookingapp.connections.permissions import probe_permissions
from bookingapp.core import heartbeat
from bookingapp.core.clock import iso, utcnow
from bookingapp.core.db import reading
from bookingapp.core.i18n import gettext
from bookingapp.core.settings import Settings, reveal, reveal_all
from bookingapp.integrations import probe
from bookingapp.integrations.calendly import CalendlyClient, CalendlyError
from bookingapp.integrations.stripe_gateway import StripeGateway, StripeGatewayError, is_live_key
from bookingapp.notifications.transport import MailError, MailTransport
from bookingapp.operations.words import describe_failure
from bookingapp.sync.stripe_endpoint import EndpointState, inspect_endpoint
from bookingapp.sync.subscriptions import Target, inspect_subscription, platform_organization
from bookingapp.webhooks.handlers import PLATFORM, Context
from bookingapp.webhooks.models import InboxEvent, Provider
from bookingapp.webhooks.service import SIGNATURE_HEADERS

# Providers refuse signatures and dates that are minutes away; less than this is the way of a request.
CLOCK_TOLERANCE: Final = timedelta(seconds=10)
LEAST_FREE_BYTES: Final = 500_000_000
TEST_EVENT: Final = "bookingapp.doctor"


class Level(enum.StrEnum):
    """How a finding is. Only what is ``bad`` keeps clients from booking, paying or being told."""

    GOOD = "good"
    CHECK = "check"  # It may be meant so.
    BAD = "bad"


class Finding(NamedTuple):
    """What was checked, how it is, and in words what is so and what to do."""

    topic: str
    level: Level
    words: str


@dataclass(frozen=True)
class Patient:
    """The installation that is looked at."""

    settings: Settings
    session: Session
    calendly: CalendlyClient
    stripe: StripeGateway
    context: Context
    mail: MailTransport
    migrations: Path
    redis_answers: bool | None
    """None where Redis is not used."""


def examine(patient: Patient) -> Iterator[Finding]:
    """Every finding, the nearest things first. Nothing is changed, except that two test deliveries are stored."""
    yield from _check_database(patient)
    yield from _check_redis(patient)
    yield from _check_disk(patient.settings)
    yield from _check_clocks(patient.settings)
    yield from _check_calendly(patient)
    yield from _check_stripe(patient)
    yield from _check_deliveries(patient)
    yield from _check_mail(patient.mail)


def _check_database(patient: Patient) -> Iterator[Finding]:
    topic = gettext("database")
    script = ScriptDirectory(str(patient.migrations))
    try:
        with reading(patient.session) as session:
            connection = session.connection()
            found, name = (
                MigrationContext.configure(connection).get_current_revision(),
                connection.dialect.name,
            )
        if found != script.get_current_head():
            words = gettext(
                "The schema is at %(found)s and has to be at %(head)s. Please run: flask --app wsgi db upgrade",
                found=found or "-",
                head=script.get_current_head(),
            )
            yield Finding(topic, Level.BAD, words)
            return
        yield Finding(topic, Level.GOOD, gettext("%(name)s, schema %(revision)s", name=name, revision=found))
        with reading(patient.session) as session:
            workers = heartbeat.count_workers(session, now=utcnow())
    except SQLAlchemyError as error:
        words = gettext(
            "It does not answer (%(error)s). Please check DATABASE_URL.", error=type(error).__name__
        )
        yield Finding(topic, Level.BAD, words)
        return
    if workers.alive:
        yield Finding(gettext("worker"), Level.GOOD, gettext("running: %(count)s", count=workers.alive))
    else:
        words = gettext(
            "None is running: no webhook is applied and no mail is sent. Please start one: flask --app wsgi worker"
        )
        yield Finding(gettext("worker"), Level.BAD, words)


def _check_redis(patient: Patient) -> Iterator[Finding]:
    if patient.redis_answers is not None:
        words = (
            gettext("answers")
            if patient.redis_answers
            else gettext("It does not answer. Please check REDIS_URL.")
        )
        yield Finding(gettext("Redis"), Level.GOOD if patient.redis_answers else Level.BAD, words)


def _check_disk(settings: Settings) -> Iterator[Finding]:
    free = shutil.disk_usage(settings.instance_dir).free
    words = gettext("%(megabytes)s MB free", megabytes=free // 1_000_000)
    if free < LEAST_FREE_BYTES:
        words = gettext("Only %(free)s. A full disk stops everything.", free=words)
    yield Finding(gettext("disk"), Level.GOOD if free >= LEAST_FREE_BYTES else Level.BAD, words)


def _check_clocks(settings: Settings) -> Iterator[Finding]:
    for name, url in (("Calendly", settings.calendly_api_url), ("Stripe", settings.stripe_api_url)):
        topic = gettext("clock")
        try:
            ahead = probe.fetch_clock(url)
        except OSError:
            words = gettext("%(who)s does not answer at %(url)s.", who=name, url=url)
            yield Finding(topic, Level.BAD, words)
            continue
        if ahead is None:
            continue
        seconds = round(ahead.total_seconds())
        if abs(ahead) > CLOCK_TOLERANCE:
            words = gettext(
                "Ours is %(seconds)s seconds away from %(who)s's. Please synchronize it (NTP).",
                seconds=seconds,
                who=name,
            )
            yield Finding(topic, Level.BAD, words)
        else:
            yield Finding(topic, Level.GOOD, gettext("the same as %(who)s's", who=name))


def _check_calendly(patient: Patient) -> Iterator[Finding]:
    calendly, settings = patient.calendly, patient.settings
    if not (reveal(settings.calendly_token) or "").strip():
        yield Finding("Calendly", Level.BAD, gettext("CALENDLY_TOKEN is missing."))
        return
    topic = gettext("Calendly token")
    try:
        user = calendly.current_user(PLATFORM)
        organization = platform_organization(user)
        yield Finding(topic, Level.GOOD, gettext("of %(name)s", name=user.name))
        probed = probe_permissions(calendly, PLATFORM, user, organization, now=utcnow())
        missing = sorted({scope for one in probed for scope in one.missing})
    except CalendlyError as error:
        yield Finding(topic, Level.BAD, describe_failure(error))
        return
    if missing:
        words = gettext("It lacks %(scopes)s. Please make a new token with them.", scopes=", ".join(missing))
        yield Finding(topic, Level.BAD, words)
    endpoint = patient.context.endpoint
    if endpoint is None or not patient.settings.calendly_webhook_signing_keys:
        yield Finding(
            gettext("Calendly webhooks"), Level.BAD, gettext("CALENDLY_WEBHOOK_SIGNING_KEYS is missing.")
        )
        return
    try:
        finding = inspect_subscription(calendly, Target(PLATFORM, organization), endpoint)
    except CalendlyError as error:
        yield Finding(gettext("Calendly webhooks"), Level.BAD, describe_failure(error))
        return
    words = finding.found.value
    if finding.found.is_broken:
        words = gettext("%(state)s; run flask calendly subscribe", state=words)
    yield Finding(gettext("Calendly webhooks"), Level.BAD if finding.found.is_broken else Level.GOOD, words)


def _check_stripe(patient: Patient) -> Iterator[Finding]:
    settings, topic = patient.settings, gettext("Stripe endpoint")
    key = reveal(settings.stripe_secret_key) or ""
    if not key.strip():
        yield Finding(gettext("Stripe key"), Level.BAD, gettext("STRIPE_SECRET_KEY is missing."))
        return
    if is_live_key(key) is settings.is_development:
        words = (
            gettext("It is a live key, on a development machine: payments are real.")
            if settings.is_development
            else gettext("It is a test key: nobody really pays.")
        )
        yield Finding(gettext("Stripe key"), Level.CHECK, words)
    try:
        finding = inspect_endpoint(patient.stripe, f"{settings.public_url}/webhooks/stripe")
    except StripeGatewayError as error:
        yield Finding(topic, Level.BAD, describe_failure(error))
        return
    if finding.state is EndpointState.WHOLE:
        yield Finding(topic, Level.GOOD, gettext("active"))
    else:
        words = gettext("%(state)s; run flask stripe subscribe", state=finding.state.value.replace("_", " "))
        yield Finding(topic, Level.BAD, words)


def _check_deliveries(patient: Patient) -> Iterator[Finding]:
    """Through ``PUBLIC_URL`` and everything in front of it, into this database."""
    settings = patient.settings
    keys = {
        Provider.CALENDLY: reveal_all(settings.calendly_webhook_signing_keys),
        Provider.STRIPE: reveal_all(settings.stripe_webhook_secrets),
    }
    for provider, known in keys.items():
        topic = gettext("test delivery")
        url = f"{settings.public_url}/webhooks/{provider.value}"
        if not known:
            words = gettext("There is no key to sign one for %(url)s.", url=url)
            yield Finding(topic, Level.BAD, words)
            continue
        now = utcnow()
        body = json.dumps(
            _test_event(provider, now, is_live=is_live_key(reveal(settings.stripe_secret_key) or ""))
        )
        header = SIGNATURE_HEADERS[provider]
        try:
            status = probe.deliver(url, body.encode(), header=header, key=known[0], at=now)
        except OSError:
            words = gettext(
                "Nothing answers at %(url)s. Please check PUBLIC_URL, DNS and the proxy.", url=url
            )
            yield Finding(topic, Level.BAD, words)
            continue
        yield Finding(topic, *_judge_delivery(patient.session, url, status, body.encode()))


def _judge_delivery(session: Session, url: str, status: int, body: bytes) -> tuple[Level, str]:
    if status in (400, 401):
        words = gettext("%(url)s refuses our own signature: it runs with other keys.", url=url)
    elif not 200 <= status < 300:  # noqa: PLR2004
        words = gettext("%(url)s answers %(status)s and not 200.", url=url, status=status)
    else:
        with reading(session):
            query = sa.select(InboxEvent.id).where(InboxEvent.type == TEST_EVENT, InboxEvent.body == body)
            if session.scalar(query) is not None:
                return Level.GOOD, gettext("arrives through %(url)s", url=url)
        words = gettext("%(url)s answers, and stores it in another database.", url=url)
    return Level.BAD, words


def _test_event(provider: Provider, now: datetime, *, is_live: bool | None) -> dict[str, Any]:
    """A delivery of a type that is in no route: it is stored, and ignored."""
    token = secrets.token_hex(12)
    if provider is Provider.CALENDLY:
        created = iso(now)
        return {"event": TEST_EVENT, "created_at": created, "payload": {"uri": token, "updated_at": created}}
    return {
        "id": f"evt_doctor_{token}",
        "object": "event",
        "type": TEST_EVENT,
        "created": int(now.timestamp()),
        "livemode": is_live is True,
        "api_version": None,
        "data": {"object": {"object": TEST_EVENT}},
    }


def _check_mail(mail: MailTransport) -> Iterator[Finding]:
    try:
        mail.check()
    except MailError as error:
        words = gettext("The server cannot be used (%(error)s). Please check MAIL_URL.", error=str(error))
        yield Finding(gettext("mail"), Level.BAD, words)
    else:
        yield Finding(gettext("mail"), Level.GOOD, gettext("connects and logs in"))
