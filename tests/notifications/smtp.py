"""A mail server for tests: it speaks RFC 5321 on a port of this machine and answers as a test wants."""

from __future__ import annotations

import contextlib
import datetime as dt
import ipaddress
import socket
import socketserver
import ssl
import threading
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Self

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID


@dataclass
class MailServer:
    """``answers`` replace the usual answer to a command (``.`` is the end of the data); ``hang`` names one that
    is not answered at all. ``commands`` are what clients said, ``received`` the messages that were accepted.
    """

    answers: dict[str, str] = field(default_factory=dict)
    extensions: tuple[str, ...] = ("8BITMIME",)
    tls: ssl.SSLContext | None = None
    tls_first: bool = False
    hang: str = ""
    commands: list[str] = field(default_factory=list)
    received: list[bytes] = field(default_factory=list)
    connections: int = 0
    released: threading.Event = field(default_factory=threading.Event)

    def __enter__(self) -> Self:
        mail = self

        class Handler(socketserver.BaseRequestHandler):
            def handle(self) -> None:
                mail.connections += 1
                with contextlib.suppress(OSError):
                    if mail.tls is None or not mail.tls_first:
                        mail._talk(self.request, secure=False)
                        return
                    with mail.tls.wrap_socket(self.request, server_side=True) as hidden:
                        mail._say(hidden, "220 mail.test ready")
                        mail._talk(hidden, secure=True)

        self._server = socketserver.ThreadingTCPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,))
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.released.set()
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    @property
    def port(self) -> int:
        """Where it listens."""
        return int(self._server.server_address[1])

    def said(self, word: str) -> list[str]:
        """The commands that begin with that word."""
        return [command for command in self.commands if command.upper().startswith(word)]

    def _talk(self, connection: socket.socket, *, secure: bool) -> None:
        """One side of the conversation until its end; after STARTTLS, the rest of it in secret."""
        if not secure:
            self._say(connection, self.answers.get("CONNECT", "220 mail.test ready"))
        with connection.makefile("rb") as lines:
            while line := lines.readline():
                command = line.decode("utf-8").strip()
                self.commands.append(command)
                word = command.split(" ")[0].upper()
                if word == self.hang:
                    self.released.wait(30)
                    break
                if word == "STARTTLS" and self.tls and not secure:
                    self._say(connection, "220 go ahead")
                    with self.tls.wrap_socket(connection, server_side=True) as hidden:
                        self._talk(hidden, secure=True)
                    break
                self._say(connection, self.answers.get(word) or self._usual(word, secure=secure))
                if word == "DATA" and word not in self.answers:
                    self._take(connection, lines)
                if word == "QUIT":
                    break

    def _usual(self, word: str, *, secure: bool) -> str:
        if word == "EHLO":
            offered = [*self.extensions, "STARTTLS" if self.tls and not secure else "AUTH PLAIN"]
            return "\r\n".join(["250-mail.test", *(f"250-{name}" for name in offered), "250 HELP"])
        return {"AUTH": "235 welcome", "DATA": "354 go ahead", "QUIT": "221 bye"}.get(word, "250 ok")

    def _take(self, connection: socket.socket, lines: BinaryIO) -> None:
        body = b""
        while (part := lines.readline()) not in (b".\r\n", b""):
            body += part.removeprefix(b".") if part.startswith(b"..") else part
        answer = self.answers.get(".", "250 queued")
        if answer.startswith("250"):
            self.received.append(body)
        if self.hang == ".":
            self.released.wait(30)
        else:
            self._say(connection, answer)

    @staticmethod
    def _say(connection: socket.socket, answer: str) -> None:
        connection.sendall(f"{answer}\r\n".encode())


def certificate(folder: Path, host: str = "127.0.0.1") -> tuple[ssl.SSLContext, ssl.SSLContext]:
    """A server's TLS with a certificate of its own for ``host``, and that of a client who trusts it."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "mail.test")])
    now = dt.datetime.now(dt.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=1))
        .add_extension(
            x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address(host))]), critical=False
        )
        .sign(key, hashes.SHA256())
    )
    path = folder / "server.txt"
    path.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        + made.public_bytes(serialization.Encoding.PEM)
    )
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(path)
    return server, ssl.create_default_context(cafile=str(path))
