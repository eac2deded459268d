"""Which release this tree is, so that ``flask doctor`` finds a worker that an upgrade forgot to restart."""

from __future__ import annotations

import functools
import hashlib
from pathlib import Path
from typing import Final

_PACKAGE: Final = Path(__file__).resolve().parents[1]
_SUFFIXES: Final = (".py", ".html", ".txt")


@functools.cache
def digest() -> str:
    """Eight characters, the same for every copy of the same code and templates."""
    whole = hashlib.sha256()
    for path in sorted(_PACKAGE.rglob("*")):
        if path.suffix in _SUFFIXES:
            whole.update(f"{path.relative_to(_PACKAGE)}\0".encode() + path.read_bytes())
    return whole.hexdigest()[:8]
