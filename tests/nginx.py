"""nginx with the site of ``deploy/nginx``, on free ports of this machine and with a certificate of its own."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import urlsplit

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from bookingapp.core.settings import PROJECT_ROOT
from tests.servers import free_port, missing
from tests.waiting import eventually

SITE = PROJECT_ROOT / "deploy" / "nginx" / "bookingapp.conf"
NAME = "book.example.com"
HOST = "localhost"


@dataclass(frozen=True)
class Proxy:
    """The site of the folder: its address by https, the one by http, and the certificate that clients have to trust."""

    folder: Path
    url: str
    plain_url: str

    @property
    def certificate(self) -> Path:
        return self.folder / "certificate.pem"

    @property
    def access_log(self) -> str:
        """What it has logged of requests."""
        return (self.folder / "bookingapp.log").read_text()


def plan_proxy(folder: Path) -> Proxy:
    """A site in this folder whose ports are free now."""
    return Proxy(folder, f"https://{HOST}:{free_port()}", f"http://{HOST}:{free_port()}")


@contextmanager
def running(proxy: Proxy, backends: Sequence[str]) -> Iterator[None]:
    """nginx in front of the applications at these addresses."""
    process = subprocess.Popen([*_command(proxy, backends), "-g", "daemon off;"])
    try:
        eventually((proxy.folder / "nginx.pid").exists, what="nginx")
        yield
    finally:
        process.terminate()
        process.wait(timeout=10)


def check(proxy: Proxy) -> str:
    """What ``nginx -t`` says of the site; an error where it refuses it."""
    done = subprocess.run([*_command(proxy, ()), "-t"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stderr


def _command(proxy: Proxy, backends: Sequence[str]) -> list[str]:
    program = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin")
    if program is None:
        missing("no nginx on this machine")
    _make_certificate(proxy.folder)
    (proxy.folder / "site.conf").write_text(_adapt_site(proxy, backends))
    (proxy.folder / "nginx.conf").write_text(_main_configuration(proxy.folder))
    return [program or "", "-p", str(proxy.folder), "-e", "error.log", "-c", "nginx.conf"]


def _adapt_site(proxy: Proxy, backends: Sequence[str]) -> str:
    """The site as an operator would adapt it: name, ports, certificate, paths and backends; the rest as it is."""
    text = re.sub(r"^ *listen \[::\].*\n", "", SITE.read_text(), flags=re.MULTILINE)
    if backends:
        servers = "".join(f"    server {urlsplit(url).netloc} max_fails=0;\n" for url in backends)
        text = re.sub(r"(?:^    server [\d.:]+ max_fails=0;\n)+", servers, text, flags=re.MULTILINE)
    for written, here in (
        ("listen 80;", f"listen 127.0.0.1:{urlsplit(proxy.plain_url).port};"),
        ("listen 443 ", f"listen 127.0.0.1:{urlsplit(proxy.url).port} "),
        (f"/etc/letsencrypt/live/{NAME}/fullchain.pem", str(proxy.certificate)),
        (f"/etc/letsencrypt/live/{NAME}/privkey.pem", str(proxy.folder / "key.pem")),
        ("/var/log/nginx/", f"{proxy.folder}/"),
        ("/opt/bookingapp/", f"{PROJECT_ROOT}/"),
        (NAME, HOST),
    ):
        assert written in text
        text = text.replace(written, here)
    return text


def _main_configuration(folder: Path) -> str:
    # Started by root, its processes would be another user's, who may not see the folders of the tests.
    user = "user root;" if os.geteuid() == 0 else ""
    kinds = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    temporary = " ".join(f"{kind}_temp_path {folder}/{kind};" for kind in kinds)
    return (
        f"{user} pid {folder}/nginx.pid; worker_processes 1; events {{ worker_connections 512; }}\n"
        f"http {{ include /etc/nginx/mime.types; {temporary} include {folder}/site.conf; }}\n"
    )


def _make_certificate(folder: Path) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    name, now = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, HOST)]), datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(HOST)]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    encoding, plain = serialization.Encoding.PEM, serialization.NoEncryption()
    (folder / "certificate.pem").write_bytes(certificate.public_bytes(encoding))
    (folder / "key.pem").write_bytes(key.private_bytes(encoding, serialization.PrivateFormat.PKCS8, plain))
