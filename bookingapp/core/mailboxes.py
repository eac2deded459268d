"""E-mail addresses as mail servers and providers accept them."""

from __future__ import annotations

from email_validator import EmailNotValidError, validate_email


def in_ascii(email: str) -> str | None:
    """The address with its domain in ASCII (punycode), which every server accepts; None where there is no such form."""
    try:
        return validate_email(email, check_deliverability=False, test_environment=True).ascii_email
    except EmailNotValidError:
        return None
