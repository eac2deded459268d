"""What may stand in no line of any log: the people, references and secrets of these tests."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator
from contextlib import contextmanager
from unittest import mock

from structlog.stdlib import ProcessorFormatter

from tests.factories import PASSWORD

PEOPLE = ("Grace Hall", "Zoë", "Ada Okonkwo", "Kenji Mori", "@example.org", "@example.com", "@example.net")
SECRETS = (
    "calendly-key-of-the-tests",
    "whsec_",
    "sk_test_",
    "the-cookie-key-of-the-tests",
    "dGhlLWVuY3J5cHRpb24ta2V5",
    "token-of-the-tests",
    "sandbox-calendly-token",
    "sandbox-client-secret",
    PASSWORD,
)
# A booking's reference opens the client's pages.
REFERENCE = r"/bookings/[0-9a-f]{32}"
_FOUND = re.compile("|".join([*map(re.escape, (*PEOPLE, *SECRETS)), REFERENCE]))


@contextmanager
def watched() -> Iterator[list[str]]:
    """The lines with one of them, of every log that the application writes from now on."""
    seen: list[str] = []
    write = ProcessorFormatter.format

    def format_and_look(self: ProcessorFormatter, record: logging.LogRecord) -> str:
        line = write(self, record)
        if _FOUND.search(line):
            seen.append(line)
        return line

    with mock.patch.object(ProcessorFormatter, "format", format_and_look):
        yield seen
