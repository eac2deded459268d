"""Everything that a newcomer gets wrong, checked in one run: ``flask doctor`` prints it.

Each check yields findings. One that is not good says what to do. Settings are checked before, at the start.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator
from datetime import timedelta
from typing import Final

import sqlalchemy as sa
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session

from bookingapp.builders.models import Builder
from bookingapp.connections.models import CalendlyConnection
from bookingapp.connections.permissions import probe_permissions
from bookingapp.connections.rotation import count_unreadable
from bookingapp.core import heartbeat, migrations
from bookingapp.core.clock import iso, utcnow
from bookingapp.core.database_failures import quote
from bookingapp.core.db import reading, rolled_back
from bookingapp.core.encryption import Keyring
from bookingapp.core.i18n import gettext, ngettext
from bookingapp.core.settings import Settings, reveal, reveal_all
from bookingapp.integrations import probe, redis_link
from bookingapp.integrations.calendly import CalendlyError, CalendlyForbidden
from bookingapp.integrations.errors import ProviderError
from bookingapp.integrations.stripe_gateway import StripeGatewayError, is_live_key
from bookingapp.marking import N_
from bookingapp.notifications.transport import MailError, MailTransport
from bookingapp.operations.arrivals import check_deliveries, judge_events
from bookingapp.operations.findings import Finding, Level, Patient
from bookingapp.operations.setting_checks import check_settings
from bookingapp.operations.words import describe_failure
from bookingapp.outcomes import Failure
from bookingapp.sync.models import Found
from bookingapp.sync.stripe_endpoint import EndpointState, inspect_endpoint, sends_too_much
from bookingapp.sync.subscriptions import Target, inspect_subscription, platform_organization
from bookingapp.webhooks.handlers import PLATFORM
from bookingapp.webhooks.routing import STRIPE_EVENTS

# Providers refuse signatures and dates that are minutes away; less than this is the way of a request.
CLOCK_TOLERANCE: Final = timedelta(seconds=10)
LEAST_FREE_BYTES: Final = 500_000_000
WORKER_STARTS_WITHIN: Final = 8.0
MISSED_WITHIN: Final = timedelta(days=1)
# By what the transport says: what that means.
_MAIL: Final = (
    ("ConnectionRefusedError", N_("Nothing answers at that port.")),
    (
        "TimeoutError",
        N_("Nothing answers in time: is the port closed by a firewall or by the hosting company?"),
    ),
    ("gaierror", N_("That host has no address in the DNS.")),
    ("SMTPAuthenticationError", N_("It refuses the user or the password.")),
    ("SSLCertVerificationError", N_("Its certificate is not valid for that host.")),
    ("SSLError", N_("That port does not begin with TLS: smtps:// is for port 465, smtp:// for 587.")),
    (
        "SMTPServerDisconnected",
        N_("It ends the connection at once. Does that port begin with TLS (465)? Then it is smtps://."),
    ),
)


def examine(patient: Patient) -> Iterator[Finding]:
    """Every finding, the nearest things first. Nothing is changed, except that two test deliveries are stored."""
    found = list(_check_database(patient))
    yield from found
    has_database = found[0].level is Level.GOOD
    yield from _check_redis(patient.settings)
    yield from _check_disk(patient.settings)
    yield from _check_clocks(patient.settings)
    yield from check_settings(patient.settings)
    if has_database:
        yield from _check_secrets(patient)
        yield from _check_calendly(patient)
    yield from _check_stripe(patient, has_database=has_database)
    if has_database:
        yield from check_deliveries(patient)
    else:
        words = gettext("Not checked without the database, like Calendly. Please run this again then.")
        yield Finding(gettext("test delivery"), Level.CHECK, words)
    yield from _check_mail(patient.mail)


def _check_database(patient: Patient) -> Iterator[Finding]:
    topic = gettext("database")
    script = ScriptDirectory(str(migrations.FOLDER))
    try:
        with reading(patient.session) as session:
            connection = session.connection()
            found, name = (
                MigrationContext.configure(connection).get_current_revision(),
                connection.dialect.name,
            )
        if found != script.get_current_head():
            if found is None or found in {one.revision for one in script.walk_revisions()}:
                words = gettext(
                    "The schema is at %(found)s and has to be at %(head)s. Please run: flask --app wsgi db upgrade",
                    found=found or "-",
                    head=script.get_current_head(),
                )
            else:
                words = gettext(
                    "The schema is at %(found)s, which a newer release has made; this one ends at %(head)s. Please run "
                    "the newer release, or go back as docs/deploy.md says.",
                    found=found,
                    head=script.get_current_head(),
                )
            yield Finding(topic, Level.BAD, words)
            return
        workers = _wait_for_worker(patient.session)
        with reading(patient.session) as session:
            others = heartbeat.find_other_releases(session, now=utcnow())
        with rolled_back(patient.session) as session:
            session.execute(sa.text("UPDATE alembic_version SET version_num = version_num"))
    except SQLAlchemyError as error:
        words = gettext(
            "It cannot be read and written (%(error)s). Please check DATABASE_URL, and who owns the database or its "
            "folder.",
            error=quote(error),
        )
        yield Finding(topic, Level.BAD, words)
        return
    yield Finding(topic, Level.GOOD, gettext("%(name)s, schema %(revision)s", name=name, revision=found))
    if workers.alive:
        yield Finding(gettext("worker"), Level.GOOD, gettext("running: %(count)s", count=workers.alive))
    else:
        words = gettext(
            "None is running: no webhook is applied and no mail is sent. Please start one: flask --app wsgi worker"
        )
        yield Finding(gettext("worker"), Level.BAD, words)
    if others:
        words = gettext(
            "It runs the code of another release: %(names)s (host:process). Please restart it.",
            names=", ".join(others),
        )
        yield Finding(gettext("worker"), Level.BAD, words)


def _wait_for_worker(session: Session) -> heartbeat.Workers:
    """The live workers, once the first has recorded that it lives: at an upgrade it was started a moment ago."""
    until = time.monotonic() + WORKER_STARTS_WITHIN
    while True:
        with reading(session):
            workers = heartbeat.count_workers(session, now=utcnow())
        if workers.alive or time.monotonic() >= until:
            return workers
        time.sleep(0.2)


def _check_redis(settings: Settings) -> Iterator[Finding]:
    if settings.redis_url:
        fault = redis_link.find_fault(settings.redis_url)
        words = gettext(
            "It cannot be used (%(error)s). Please check REDIS_URL and Redis' own log.", error=fault
        )
        yield Finding(
            gettext("Redis"), Level.BAD if fault else Level.GOOD, words if fault else gettext("answers")
        )


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


def _check_secrets(patient: Patient) -> Iterator[Finding]:
    with reading(patient.session) as session:
        number = count_unreadable(session, Keyring(reveal_all(patient.settings.encryption_keys)))
    if number:
        words = ngettext(
            "ENCRYPTION_KEYS lacks the key of %(num)s stored secret. Please put the earlier one behind the first.",
            "ENCRYPTION_KEYS lacks the keys of %(num)s stored secrets. Please put the earlier ones behind the first.",
            number,
        )
        yield Finding(gettext("encryption"), Level.BAD, words)


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
        yield Finding(topic, Level.BAD, _describe_call("Calendly", "CALENDLY_TOKEN", error))
        return
    if strangers := _find_strangers(patient, organization):
        words = gettext(
            "Nobody can book %(builders)s: the token is of another Calendly organization than theirs. Please use "
            "the token of their organization.",
            builders=", ".join(strangers),
        )
        yield Finding(topic, Level.BAD, words)
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
        words = _describe_call("Calendly", "CALENDLY_TOKEN", error)
        yield Finding(gettext("Calendly webhooks"), Level.BAD, words)
        return
    topic, words = gettext("Calendly webhooks"), finding.found.value
    if finding.found.is_broken:
        yield Finding(topic, Level.BAD, gettext("%(state)s; run flask calendly subscribe", state=words))
    elif finding.found is Found.RETRYING:
        words = gettext(
            "Calendly could not deliver since %(time)s. If a test delivery arrives, the subscription has a key that is "
            "not in CALENDLY_WEBHOOK_SIGNING_KEYS. Please put it back.",
            time=iso(finding.since) if finding.since else "-",
        )
        yield Finding(topic, Level.BAD, words)
    else:
        yield Finding(topic, Level.GOOD, words)


def _find_strangers(patient: Patient, organization: str) -> list[str]:
    """Slugs of builders whom the platform's token serves, and whose Calendly user is not of its organization."""
    query = (
        sa.select(Builder.calendly_user_uri, Builder.slug)
        .outerjoin(CalendlyConnection, CalendlyConnection.builder_id == Builder.id)
        .where(Builder.calendly_user_uri.is_not(None), CalendlyConnection.builder_id.is_(None))
        .order_by(Builder.slug)
    )
    with reading(patient.session) as session:
        served = {str(row[0]).rpartition("/")[2]: str(row[1]) for row in session.execute(query)}
    if not served:
        return []
    try:
        members = patient.calendly.organization_members(PLATFORM, organization)
    except CalendlyForbidden:
        return []  # Without an administrator's token, Calendly lists no other members.
    known = {one.uri.rpartition("/")[2] for one in members}
    return [slug for user, slug in served.items() if user not in known]


def _describe_call(who: str, setting: str, error: ProviderError) -> str:
    """Why a call failed, and what to do."""
    words = describe_failure(error)
    if error.category is Failure.UNAUTHORIZED:
        return gettext(
            "%(who)s refuses it (%(reason)s). Please put a valid one into %(setting)s and restart.",
            who=who,
            reason=words,
            setting=setting,
        )
    return gettext("%(who)s: %(reason)s. If it stays so, see docs/operations.md.", who=who, reason=words)


def _check_stripe(patient: Patient, *, has_database: bool) -> Iterator[Finding]:
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
        events = patient.stripe.list_events(utcnow() - MISSED_WITHIN, STRIPE_EVENTS)
    except StripeGatewayError as error:
        yield Finding(topic, Level.BAD, _describe_call("Stripe", "STRIPE_SECRET_KEY", error))
        return
    is_too_much = sends_too_much(finding)
    if finding.state is EndpointState.WHOLE or is_too_much:
        words = gettext("active, and is sent more events than we read; run flask stripe subscribe")
        yield (
            Finding(topic, Level.CHECK, words)
            if is_too_much
            else Finding(topic, Level.GOOD, gettext("active"))
        )
        if has_database and (judged := judge_events(patient.session, finding.endpoint, events)):
            yield Finding(gettext("Stripe events"), *judged)
    else:
        words = gettext("%(state)s; run flask stripe subscribe", state=finding.state.value.replace("_", " "))
        yield Finding(topic, Level.BAD, words)


def _check_mail(mail: MailTransport) -> Iterator[Finding]:
    try:
        mail.check()
    except MailError as error:
        reason = next((gettext(words) for begin, words in _MAIL if str(error).startswith(begin)), "")
        words = gettext("The server cannot be used (%(error)s). Please check MAIL_URL.", error=str(error))
        words = f"{words} {reason}".rstrip()
        yield Finding(gettext("mail"), Level.BAD, words)
    else:
        yield Finding(gettext("mail"), Level.GOOD, gettext("connects and logs in"))
