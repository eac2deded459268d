"""The drill of docs/deploy.md: a backup that is older than what happened at both providers."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import sqlalchemy as sa

from bookingapp.bookings.models import Booking
from bookingapp.core.db import db
from bookingapp.core.settings import PROJECT_ROOT, Settings
from tests.live import Live
from tests.mailbox import Mailbox
from tests.money.deals import Deal, open_shop
from tests.servers import missing

BACKUP = PROJECT_ROOT / "deploy" / "backup.sh"


def back_up(settings: Settings, folder: Path) -> Path:
    """One copy, as the timer makes it while the application runs."""
    if shutil.which("sqlite3") is None:
        missing("no sqlite3 on this machine")
    environ = {"PATH": os.environ["PATH"], "DATABASE_URL": settings.database_url}
    folder.mkdir()
    done = subprocess.run([BACKUP, folder], env=environ, capture_output=True, text=True, check=True)
    made = Path(done.stdout.strip())
    assert [path.name for path in folder.iterdir()] == [made.name]
    return made


def restore(live: Live, settings: Settings, made: Path) -> None:
    """Put the copy in place of the database, while no process runs."""
    with live.app.app_context():
        db.session.remove()
        db.engine.dispose()
    database = Path(settings.database_url.removeprefix("sqlite:///"))
    for path in database.parent.glob(f"{database.name}*"):
        path.unlink()
    shutil.copy(made, database)


def reconcile(live: Live) -> str:
    result = live.runner().invoke(args=["bookings", "reconcile"])
    assert result.exit_code == 0, result.output
    return result.output


def test_scenario_62_part_a_backup_is_restored_and_the_providers_are_asked(
    live: Live, tmp_path: Path, settings: Settings, mailbox: Mailbox
) -> None:
    """What the copy knows a booking or a payment page of comes back; a booking that it does not know does not."""
    open_shop(live)
    begun = Deal(live, *live.book())
    waiting, confirmed = Deal(live, *live.scheduled()), Deal(live, *live.scheduled())
    page = waiting.open_checkout()
    confirmed.pay()
    made = back_up(settings, tmp_path / "backups")

    live.choose(begun.browser, begun.ref)
    waiting.pay(page)
    intent = next(
        row["payment_intent"]
        for row in live.state()["sessions"]
        if row["client_reference_id"] == confirmed.row.tracking_id
    )
    confirmed.at_stripe(f"payments/{intent}/refund", amount=1000)
    Deal(live, *live.scheduled()).pay()
    sent = {mail["Message-ID"] for mail in mailbox.all()}

    restore(live, settings, made)
    assert [deal.truth()[:2] for deal in (begun, waiting, confirmed)] == [
        ("pending", "none"),
        ("scheduled", "open"),
        ("confirmed", "paid"),
    ]
    found = reconcile(live)
    for words in ("checkout.session.completed", "charge.refunded", "from pending to scheduled"):
        assert words in found
    live.work()
    assert [deal.truth()[:2] for deal in (begun, waiting, confirmed)] == [
        ("scheduled", "none"),
        ("confirmed", "paid"),
        ("confirmed", "partially_refunded"),
    ]
    assert reconcile(live) == "nothing was missing\n"
    assert sorted(minor for _, minor, _ in begun.ledger()) == [-1000, 6000, 6000]
    # A mail that is repeated is the same to every mail program.
    assert {mail["Message-ID"] for mail in mailbox.all()} == sent
    with live.database() as session:
        assert session.scalar(sa.select(sa.func.count(Booking.id))) == 3
