"""What a job or delivery can wait for: errors of providers and of the mail server name it, the queue stores it."""

from __future__ import annotations

import enum


class Awaited(enum.StrEnum):
    """What a person has to do before work can go on; its value is the outcome of a row that waits for it."""

    CONNECTION = "waiting_connection"  # A builder, or the operator, renews the connection to Calendly.
    MAIL_SERVER = "waiting_mail_server"  # The mail server answers and accepts our log-in.
