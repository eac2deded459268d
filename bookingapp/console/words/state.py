"""What operators read about the state of the installation: a line for each part, with how well it works."""

from __future__ import annotations

from datetime import datetime
from typing import Final, NamedTuple

from bookingapp.connections.models import ConnectionState
from bookingapp.console.state import OVERDUE, Latest, Numbers, Queue, Trouble, Worker
from bookingapp.console.words.connections import describe_reason
from bookingapp.core.clock import age, day_time, wait
from bookingapp.core.i18n import N_, gettext, ngettext, number
from bookingapp.dashboard.connection_checks import CheckLevel
from bookingapp.integrations.circuit_breaker import BreakerState
from bookingapp.operations.words import describe
from bookingapp.sync.models import Found

SLOW_SECONDS: Final = 60
_BREAKERS: Final = {
    "closed": N_("Calls to Calendly go through."),
    "half_open": N_("Calendly has kept failing. One call at a time tries whether it answers again."),
    "open": N_("Calendly keeps failing, so this process pauses its calls, and retries automatically."),
}
_SUBSCRIPTIONS: Final = {
    Found.ACTIVE: N_("The subscription is active."),
    Found.RETRYING: N_("Calendly has trouble reaching this site, and keeps trying."),
    Found.INCOMPLETE: N_("The subscription did not deliver everything, and was repaired."),
    Found.DISABLED: N_("Calendly had switched the subscription off. It was repaired."),
    Found.MISSING: N_("The subscription was missing. It was created again."),
    Found.UNKNOWN: N_("Calendly could not be asked about the subscription: %(failure)s."),
}


class Line(NamedTuple):
    """One part of the installation: its name, how well it works, and a sentence."""

    name: str
    level: CheckLevel
    sentence: str


def state_lines(
    workers: list[Worker],
    numbers: Numbers,
    latest: Latest,
    *,
    breaker: BreakerState,
    redis: bool | None,
    timezone: str,
    now: datetime,
) -> list[Line]:
    """Every part, in the order of the page."""
    alive = sum(worker.is_alive for worker in workers)
    return [
        Line(
            gettext("Workers"),
            CheckLevel.OK if alive else CheckLevel.PROBLEM,
            ngettext("%(num)s worker is running.", "%(num)s workers are running.", alive)
            if alive
            else gettext("No worker is running: nothing is applied, sent or refunded."),
        ),
        _queue_line(gettext("Inbox"), numbers.inbox, latest.lag_seconds),
        _queue_line(gettext("Outbox"), numbers.outbox, None),
        _reconciliation_line(latest, timezone, now),
        _subscription_line(latest, timezone, now),
        _token_line(numbers),
        Line(
            gettext("Circuit breaker"),
            {"closed": CheckLevel.OK, "half_open": CheckLevel.WARNING}.get(breaker, CheckLevel.PROBLEM),
            gettext(_BREAKERS[breaker]),
        ),
        _redis_line(redis),
    ]


def _queue_line(name: str, queue: Queue, lag: float | None) -> Line:
    level = CheckLevel.OK
    if queue.dead or queue.oldest_due_seconds > SLOW_SECONDS:
        level = CheckLevel.WARNING
    words = [ngettext("%(num)s row waits.", "%(num)s rows wait.", queue.waiting)]
    if queue.oldest_due_seconds >= 1:
        words.append(
            gettext("The oldest has been due for %(time)s.", time=wait(round(queue.oldest_due_seconds)))
        )
    if lag is not None:
        words.append(
            gettext("The newest delivery took %(seconds)s s to apply.", seconds=number(round(lag, 1)))
        )
    if queue.dead:
        words.append(ngettext("%(num)s was given up.", "%(num)s were given up.", queue.dead))
    return Line(name, level, " ".join(words))


def _reconciliation_line(latest: Latest, timezone: str, now: datetime) -> Line:
    name, report = gettext("Reconciliation"), latest.reconciliation
    if report is None:
        return Line(name, CheckLevel.WARNING, gettext("It has not run yet. The worker runs it every hour."))
    level = CheckLevel.PROBLEM if now - report.at > OVERDUE else CheckLevel.OK
    level = CheckLevel.WARNING if level is CheckLevel.OK and report.failed else level
    missing = ngettext("%(num)s thing was missing.", "%(num)s things were missing.", len(report.missing))
    words = [gettext("Last run %(time)s.", time=day_time(report.at, timezone))]
    words.append(missing if report.missing else gettext("Nothing was missing."))
    words += [
        gettext("Not fetched: %(what)s.", what=describe(one["code"], one["facts"]))
        for one in report.failed[:3]
    ]
    return Line(name, level, " ".join(words))


def _subscription_line(latest: Latest, timezone: str, now: datetime) -> Line:
    name, check = gettext("The platform's subscription"), latest.check
    if check is None:
        return Line(
            name, CheckLevel.WARNING, gettext("It has not been checked yet. The worker checks it every hour.")
        )
    level = CheckLevel.OK if check.found is Found.ACTIVE else CheckLevel.WARNING
    if check.found is Found.UNKNOWN or now - check.at > OVERDUE:
        level = CheckLevel.PROBLEM
    words = subscription_words(check.found, check.failure)
    at = day_time(check.at, timezone)
    return Line(name, level, gettext("%(words)s Last checked %(time)s.", words=words, time=at))


def subscription_words(found: Found, failure: str | None) -> str:
    """How a subscription was found."""
    return gettext(_SUBSCRIPTIONS[found], failure=describe(failure, {}) or "-")


def _token_line(numbers: Numbers) -> Line:
    name = gettext("The platform's token")
    if not numbers.tokens_refused:
        return Line(name, CheckLevel.OK, gettext("Calendly accepts it."))
    words = ngettext(
        "Calendly has refused %(num)s token. Set a new one, then run: flask calendly check",
        "Calendly has refused %(num)s tokens. Set a new one, then run: flask calendly check",
        numbers.tokens_refused,
    )
    return Line(name, CheckLevel.PROBLEM, words)


def _redis_line(answers: bool | None) -> Line:  # noqa: FBT001 - one of three answers.
    name = gettext("Redis")
    if answers is None:
        return Line(name, CheckLevel.OK, gettext("It is not used: one machine needs none."))
    if answers:
        return Line(name, CheckLevel.OK, gettext("It answers."))
    return Line(name, CheckLevel.WARNING, gettext("It does not answer. Each process uses its own memory."))


def trouble_words(one: Trouble, timezone: str, now: datetime) -> tuple[CheckLevel, list[str]]:
    """How bad a builder's connection is, and sentences about it."""
    words = []
    if one.reason is not None:
        words.append(describe_reason(one.reason))
    if one.state is not ConnectionState.CONNECTED:
        words.append(
            gettext(
                "It stopped %(time)s ago. Clients cannot book until the builder connects again.",
                time=age(one.changed_at, now),
            )
        )
        return CheckLevel.PROBLEM, words
    if one.retry_at is not None:
        words.append(
            gettext(
                "The access is good until %(end)s; renewing it is tried again %(time)s.",
                end=day_time(one.expires_at, timezone),
                time=day_time(one.retry_at, timezone),
            )
        )
    if one.found is None or one.checked_at is None:
        words.append(gettext("The subscription has not been checked yet."))
    else:
        at = day_time(one.checked_at, timezone)
        checked = subscription_words(one.found, one.failure)
        words.append(gettext("%(words)s Last checked %(time)s.", words=checked, time=at))
    return CheckLevel.WARNING, words
