"""Secrets that a development machine makes for itself and keeps in files."""

from __future__ import annotations

import os
import secrets
from contextlib import suppress
from pathlib import Path


def read_or_keep(path: Path, fresh: str) -> str:
    """The secret in the file ``path``, which is made with ``fresh`` by the first process that gets here."""
    # Where it is there already, nothing has to be written: a full disk must not stop what only looks.
    with suppress(FileNotFoundError):
        return path.read_text(encoding="utf-8").strip()
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f"{path.name}.{os.getpid()}.{secrets.token_hex(4)}")
    draft.touch(mode=0o600)
    draft.write_text(fresh, encoding="utf-8")
    try:
        # A link is atomic and fails if the name exists, so the first writer's whole value wins.
        os.link(draft, path)
    except FileExistsError:
        pass
    finally:
        draft.unlink()
    return path.read_text(encoding="utf-8").strip()
