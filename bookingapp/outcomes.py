"""Outcomes that the queue stores: what failed, by the errors of providers and of the mail server, what a job or
delivery waits for, and what a job did instead of its work.
"""

from __future__ import annotations

import enum


class Failure(enum.StrEnum):
    """Why a try failed. Those down to IDEMPOTENCY_CONFLICT are the categories of the providers' errors."""

    UNAVAILABLE = "unavailable"
    RATE_LIMITED = "rate_limited"
    BAD_REPLY = "bad_reply"
    UNAUTHORIZED = "unauthorized"
    INVALID_GRANT = "invalid_grant"
    INVALID_CLIENT = "invalid_client"
    FORBIDDEN = "forbidden"
    NOT_FOUND = "not_found"
    REJECTED = "rejected"
    IDEMPOTENCY_CONFLICT = "idempotency_conflict"
    NOT_ACCEPTED = "not_accepted"  # An error without a category: the mail server's.
    DATABASE = "database"
    UNEXPECTED = "unexpected"  # A bug; its trace is in the log.
    LEASE_EXPIRED = "lease_expired"  # Each try killed its worker, or took longer than its lease.


class Done(enum.StrEnum):
    """What a job that is done did instead of what it was for; returned by its function."""

    NO_LONGER_TRUE = "no_longer_true"  # A mail was not sent, because what it says is not true any more.
    REPEATED_BY_RESTORE = "repeated_by_restore"  # A mail that was sent before the database was restored.


class Awaited(enum.StrEnum):
    """What a person has to do before work can go on; its value is the outcome of a row that waits for it."""

    CONNECTION = "waiting_connection"  # A builder, or the operator, renews the connection to Calendly.
    MAIL_SERVER = "waiting_mail_server"  # The mail server answers and accepts our log-in.
