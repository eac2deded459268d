"""``flask accounts``: make an operator, reset an account, change its address."""

from __future__ import annotations

from datetime import datetime
from secrets import token_urlsafe

import click
from flask.cli import AppGroup
from sqlalchemy.orm import Session

from bookingapp.accounts import links, log_ins, service, two_step
from bookingapp.accounts.addresses import set_address
from bookingapp.accounts.codes import LinkPurpose, LogInEnd, SecurityCode
from bookingapp.accounts.events import record_event
from bookingapp.accounts.models import Account
from bookingapp.accounts.origins import BY_OPERATOR
from bookingapp.accounts.passwords import hash_new_password
from bookingapp.cli.errors import report_errors
from bookingapp.core import services
from bookingapp.core.clock import utcnow
from bookingapp.core.db import db, transaction
from bookingapp.core.errors import NotFound
from bookingapp.core.i18n import gettext
from bookingapp.core.jobs import Collaborators
from bookingapp.notifications.service import Mailer

accounts = AppGroup("accounts", help="Operators, and accounts whose owners cannot log in.")


@accounts.command("make-operator")
@click.argument("email")
@click.option(
    "--name", help="For somebody who has no account yet: makes one, and prints a link to choose a password."
)
@report_errors
def make_operator(email: str, name: str | None) -> None:
    """Give the account of EMAIL the operators' console. It asks for two-step log-in first."""
    now = utcnow()
    # A random password, which is never shown: the person sets their own by the link.
    unknown = hash_new_password(token_urlsafe(24), email=email, name=name) if name else None
    token = None
    with transaction(db.session()) as session:
        account = service.find_account(session, service.normalize_email(email))
        if account is None and name and unknown:
            account = service.create_account(session, email=email, name=name, password_hash=unknown, now=now)
            token = _create_reset_link(session, account, now=now)
        if account is None:
            raise NotFound(gettext("no account has that address; --name makes one"))
        if not account.is_operator:
            account.is_operator = True
            record_event(
                session, SecurityCode.MADE_OPERATOR, account_id=account.id, origin=BY_OPERATOR, now=now
            )
    click.echo(gettext("%(name)s is an operator", name=account.name))
    if token:
        _print_reset_link(token)


@accounts.command("reset")
@click.argument("email")
@click.option("--two-step", "without_two_step", is_flag=True, help="Also turn two-step log-in off.")
@report_errors
def reset(email: str, without_two_step: bool) -> None:
    """Log the account of EMAIL out everywhere, and print a link to choose a password: once, for an hour.

    Make sure who asks for it.
    """
    now = utcnow()
    with transaction(db.session()) as session:
        account = _get_account(session, email)
        ended = log_ins.end_all(session, account.id, how=LogInEnd.RESET, now=now)
        links.end_links(session, service.LINKS_OF_ACCOUNT, account_id=account.id, now=now)
        if without_two_step:
            if account.two_step_since is not None:
                code = SecurityCode.TWO_STEP_OFF
                record_event(session, code, account_id=account.id, origin=BY_OPERATOR, now=now)
            two_step.turn_off(session, account)
        token = _create_reset_link(session, account, now=now)
        record_event(
            session,
            SecurityCode.ACCOUNT_RESET,
            account_id=account.id,
            origin=BY_OPERATOR,
            now=now,
            log_ins=ended,
            two_step_off=without_two_step,
        )
    click.echo(gettext("log-ins ended: %(number)s", number=ended))
    _print_reset_link(token)


@accounts.command("change-address")
@click.argument("email")
@click.argument("new_email")
@report_errors
def change_address(email: str, new_email: str) -> None:
    """Give the account of EMAIL the address NEW_EMAIL, where its owner has lost the old mailbox.

    Make sure who asks for it. The account is logged out everywhere, and both addresses get a mail.
    """
    with transaction(db.session()) as session:
        account = _get_account(session, email)
        set_address(session, account.id, service.normalize_email(new_email), now=utcnow())
    click.echo(gettext("%(name)s logs in with the new address now", name=account.name))


def _get_account(session: Session, email: str) -> Account:
    account = service.find_account(session, service.normalize_email(email))
    if account is None:
        raise NotFound(gettext("no account has that address"))
    return account


def _create_reset_link(session: Session, account: Account, *, now: datetime) -> str | None:
    """A link that is printed and not mailed; returns its token."""
    link = links.create_link(
        session,
        LinkPurpose.RESET_PASSWORD,
        email=account.email,
        account_id=account.id,
        valid_for=service.RESET_WITHIN,
        now=now,
    )
    token = link.token
    links.record_sent(session, link)
    return token


def _print_reset_link(token: str | None) -> None:
    mailer = services.get(Collaborators).get(Mailer)
    click.echo(mailer.address("accounts.reset_password", token=token))
