"""Secrets and personal data are masked in every log line."""

from __future__ import annotations

import json
import logging
import sys
from collections.abc import Iterator

import pytest
import structlog

from bookingapp.cli.errors import report_errors
from bookingapp.core import logs

REF = "Zm9vYmFyYmF6cXV4MTIzNA"
SECRETS = {
    "grace.hall+x@example.org": "mail grace.hall+x@example.org now",
    "sk_test_51HqABCDEF": "key sk_test_51HqABCDEF",
    "whsec_9fK2abcdef": "secret whsec_9fK2abcdef",
    "cs_test_a1B2c3D4": "GET /v1/checkout/sessions/cs_test_a1B2c3D4",
    "eyJraWQi.abc-def": "Authorization: Bearer eyJraWQi.abc-def",
    "0123456789abcdef0123": "t=1,v1=0123456789abcdef0123",
    REF: f"/bookings/{REF}/status",
    "kV3xW-9_qLm2": "/reset-password/kV3xW-9_qLm2",
    "hT5bN-2_wRz8": "/become-a-builder/confirm/hT5bN-2_wRz8",
    "aV3xW-9_qLm2": "GET /confirm-address/old/aV3xW-9_qLm2/stop",
    "c8b4d2e3-0f90-4b7c": "https://calendly.com/cancellations/c8b4d2e3-0f90-4b7c",
    "d9b4d2e3-0f90-4b7c": "https://calendly.com/reschedulings/d9b4d2e3-0f90-4b7c",
}


@pytest.fixture(autouse=True)
def _logging_as_it_was() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    quiet = {
        name: logging.getLogger(name).level for name in ("urllib3", "requests_cache", "stripe", "alembic")
    }
    yield
    root.handlers[:], root.level = handlers, level
    for name, was in quiet.items():
        logging.getLogger(name).setLevel(was)
    structlog.reset_defaults()


@pytest.mark.parametrize("secret", SECRETS)
def test_masks(secret: str) -> None:
    masked = logs.mask(SECRETS[secret])
    assert secret not in masked
    assert "[" in masked


def test_ordinary_words_stay() -> None:
    text = "booking 12 went from pending to scheduled; GET /bookings/<ref> 200 in 3.5 ms"
    assert logs.mask(text) == text


@pytest.mark.parametrize("as_json", [True, False])
def test_a_whole_line(capsys: pytest.CaptureFixture[str], as_json: bool) -> None:
    logs.configure(as_json=as_json)
    ours, theirs = structlog.get_logger("ours"), logging.getLogger("theirs")
    ours.info(
        "something", text=list(SECRETS.values()), more={"deep": {"x": SECRETS[REF]}}, password="hunter2"
    )
    ours.info(next(iter(SECRETS.values())))
    theirs.warning("%s and %s", *list(SECRETS.values())[:2])
    try:
        raise ValueError(" ".join(SECRETS.values()))
    except ValueError:
        ours.exception("ours_failed", email="grace@example.com")
        theirs.exception("theirs failed")
    # Standard output is for what a command prints.
    printed, written = capsys.readouterr()
    assert printed == ""
    assert written.count("ValueError") >= 2
    for secret in (*SECRETS, "hunter2", "grace@example.com"):
        assert secret not in written


@pytest.mark.parametrize("is_terminal", [True, False])
def test_a_person_reads_no_log_between_a_command_lines(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, is_terminal: bool
) -> None:
    logs.configure(as_json=True)
    monkeypatch.setattr(sys.stderr, "isatty", lambda: is_terminal)

    @report_errors
    def command() -> None:
        log = structlog.get_logger("ours")
        log.info("asked_somebody")
        log.warning("nobody_answered")

    command()
    written = capsys.readouterr().err
    assert "nobody_answered" in written
    assert ("asked_somebody" in written) is not is_terminal


def test_json_is_one_object_a_line(capsys: pytest.CaptureFixture[str]) -> None:
    logs.configure(as_json=True)
    structlog.get_logger("x").warning("two\nlines", number=1)
    logging.getLogger("y").error("three\nmore\nlines")
    lines = [json.loads(line) for line in capsys.readouterr().err.splitlines()]
    assert [line["event"] for line in lines] == ["two\nlines", "three\nmore\nlines"]
    assert [line["level"] for line in lines] == ["warning", "error"]
    assert all(line["timestamp"].endswith("Z") for line in lines)
