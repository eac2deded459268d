"""The state of a sandbox: documents by kind and identifier, in one SQLite file."""

from __future__ import annotations

import json
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeAlias

Document: TypeAlias = dict[str, Any]

_SCHEMA = """
CREATE TABLE IF NOT EXISTS documents (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    kind TEXT NOT NULL,
    id TEXT NOT NULL,
    body TEXT NOT NULL,
    UNIQUE (kind, id)
);
CREATE INDEX IF NOT EXISTS documents_by_state ON documents (kind, json_extract(body, '$.state'));
"""


class Store:
    """A small document store that survives restarts.

    All threads share one connection under a re-entrant lock, so no other request comes between a check and the
    write that depends on it. ``:memory:`` keeps nothing.
    """

    def __init__(self, path: str) -> None:
        if path != ":memory:":
            Path(path).parent.mkdir(parents=True, exist_ok=True)
        self._lock = threading.RLock()
        self._depth = 0
        self._connection = sqlite3.connect(path, check_same_thread=False, isolation_level=None)
        self._connection.execute("PRAGMA journal_mode=WAL")
        # A power cut may lose the last second of test data; speed matters more here.
        self._connection.execute("PRAGMA synchronous=OFF")
        self._connection.executescript(_SCHEMA)

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            self._connection.close()

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Commit all of the block or none of it; of nested blocks the outermost one commits."""
        with self._lock:
            self._depth += 1
            try:
                if self._depth == 1:
                    self._connection.execute("BEGIN IMMEDIATE")
                yield
            except BaseException:
                if self._depth == 1:
                    self._connection.execute("ROLLBACK")
                raise
            else:
                if self._depth == 1:
                    self._connection.execute("COMMIT")
            finally:
                self._depth -= 1

    def put(self, kind: str, identifier: str, body: Document) -> None:
        """Write a document; an existing one keeps its position in the order."""
        with self._lock:
            self._connection.execute(
                "INSERT INTO documents (kind, id, body) VALUES (?, ?, ?)"
                " ON CONFLICT (kind, id) DO UPDATE SET body = excluded.body",
                (kind, identifier, json.dumps(body)),
            )

    def get(self, kind: str, identifier: str) -> Document | None:
        """The document, or None."""
        with self._lock:
            row = self._connection.execute(
                "SELECT body FROM documents WHERE kind = ? AND id = ?", (kind, identifier)
            ).fetchone()
        return None if row is None else _parsed(row[0])

    def all(self, kind: str, **equal: Any) -> list[Document]:
        """Every document of a kind, oldest first, whose top-level fields have the given values."""
        # A keyword is an identifier, so it is safe in the text; as a parameter the index could not be used.
        conditions = "".join(f" AND json_extract(body, '$.{field}') IS ?" for field in equal)
        arguments: list[Any] = [kind, *equal.values()]
        with self._lock:
            rows = self._connection.execute(
                f"SELECT body FROM documents WHERE kind = ?{conditions} ORDER BY seq",  # noqa: S608 - keywords and placeholders only.
                arguments,
            ).fetchall()
        return [_parsed(row[0]) for row in rows]

    def newest(self, kind: str, limit: int) -> list[Document]:
        """The latest documents of a kind, newest first."""
        with self._lock:
            rows = self._connection.execute(
                "SELECT body FROM documents WHERE kind = ? ORDER BY seq DESC LIMIT ?", (kind, limit)
            ).fetchall()
        return [_parsed(row[0]) for row in rows]

    def delete(self, kind: str, identifier: str) -> None:
        """Remove one document, if there is one."""
        with self._lock:
            self._connection.execute("DELETE FROM documents WHERE kind = ? AND id = ?", (kind, identifier))

    def clear(self, *kinds: str) -> None:
        """Remove every document of the kinds named, or of all kinds if none is named."""
        with self._lock:
            if not kinds:
                self._connection.execute("DELETE FROM documents")
            for kind in kinds:
                self._connection.execute("DELETE FROM documents WHERE kind = ?", (kind,))

    def setting(self, name: str, default: Any = None) -> Any:
        """The value of a setting, or the default."""
        document = self.get("setting", name)
        return default if document is None else document["value"]

    def set_setting(self, name: str, value: Any) -> None:
        """Set the value of a setting."""
        self.put("setting", name, {"id": name, "value": value})


def _parsed(text: str) -> Document:
    document: Document = json.loads(text)
    return document
