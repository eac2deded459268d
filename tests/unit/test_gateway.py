"""A WSGI application behind the event loop: what it is told, and what becomes of what it answers."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Any
from wsgiref.validate import validator

import pytest
from werkzeug.datastructures import Headers
from werkzeug.test import EnvironBuilder
from werkzeug.wrappers import Request

from bookingapp.core.bodies import FAILURE, LARGEST_BODY
from bookingapp.core.gateway import Gateway, load
from tests.waiting import eventually

from .gates import FakeHeaders, FakeProtocol, FakeScope, names, send

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment

LENGTH = ("Content-Length", "2")


def environ_for(scope: FakeScope, protocol: FakeProtocol | None = None) -> WSGIEnvironment:
    seen: list[WSGIEnvironment] = []

    def app(environ: WSGIEnvironment, start: StartResponse) -> list[bytes]:
        seen.append(environ)
        start("204 No Content", [])
        return []

    send(app, (scope, protocol or FakeProtocol()))
    return seen[0]


def answered(app: Callable[..., Iterable[bytes]], protocol: FakeProtocol | None = None) -> FakeProtocol:
    protocol = protocol or FakeProtocol()
    send(app, (FakeScope(), protocol))
    return protocol


class TestEnviron:
    def test_it_is_the_one_that_werkzeug_makes(self) -> None:
        headers = [
            ("Accept", "text/html"),
            ("Accept-Language", "de"),
            ("Content-Type", "text/plain"),
            ("Cookie", "a=1"),
            ("Host", "book.example:8443"),
            ("X-Forwarded-For", "203.0.113.9"),
        ]
        builder = EnvironBuilder(
            method="POST",
            path="/bücher/a b",
            query_string="q=%FF&n=1",
            base_url="https://book.example:8443",
            headers=Headers(headers),
            data=b"hello",
            environ_overrides={"REMOTE_ADDR": "192.0.2.1"},
        )
        theirs = builder.get_environ()
        scope = FakeScope(
            method="POST",
            path="/bücher/a b",
            query_string="q=%FF&n=1",
            headers=FakeHeaders(*headers, ("Content-Length", "5")),
            scheme="https",
            server="198.51.100.1:8443",
        )
        ours = environ_for(scope, FakeProtocol(b"hello"))
        assert ours["wsgi.input"].read() == theirs["wsgi.input"].read() == b"hello"
        # What depends on the server itself.
        apart = {"SERVER_NAME", "SERVER_SOFTWARE", "GATEWAY_INTERFACE", "REQUEST_URI", "RAW_URI"}
        apart |= {name for name in (*ours, *theirs) if name.startswith("wsgi.") and name != "wsgi.url_scheme"}
        assert {k: v for k, v in ours.items() if k not in apart} == {
            k: v for k, v in theirs.items() if k not in apart
        }
        assert ours["SERVER_NAME"] == "198.51.100.1"

    def test_it_and_the_answer_are_as_pep_3333_has_them(self, recwarn: pytest.WarningsRecorder) -> None:
        def app(environ: WSGIEnvironment, start: StartResponse) -> list[bytes]:
            assert environ["wsgi.input"].read(5) == b"hello"
            start("200 OK", [("Content-Type", "text/plain"), ("Content-Length", "2")])
            return [b"hi"]

        scope = FakeScope(method="POST", path="/a", headers=FakeHeaders(("Content-Length", "5")))
        protocol = FakeProtocol(b"hello")
        send(validator(app), (scope, protocol))
        assert (protocol.status, protocol.sent) == (200, [b"hi"])
        assert not recwarn.list

    @pytest.mark.parametrize("path", ["/", "/a b", "/ü/€/😀", "/a\ufffdb", "*", ""])
    def test_the_path_is_read_as_it_was_sent(self, path: str) -> None:
        environ = environ_for(FakeScope(path=path, query_string="ü=1"))
        assert environ["PATH_INFO"].encode("latin-1").decode() == path
        assert Request(environ).args.to_dict() == {"ü": "1"}

    def test_headers_that_are_sent_several_times(self) -> None:
        headers = FakeHeaders(
            ("X-Two", "a"),
            ("X-Two", "b"),
            ("Cookie", "a=1"),
            ("Cookie", "b=2"),
            ("Content-Type", "text/plain"),
            ("Content-Type", "text/html"),
        )
        environ = environ_for(FakeScope(headers=headers))
        assert environ["HTTP_X_TWO"] == "a,b"
        assert dict(Request(environ).cookies) == {"a": "1", "b": "2"}
        assert environ["CONTENT_TYPE"] == "text/plain"

    def test_no_header_passes_for_another_or_for_what_the_server_says(self) -> None:
        headers = FakeHeaders(
            ("X_Forwarded_For", "evil"),
            ("X-Forwarded-For", "203.0.113.9"),
            ("Remote-Addr", "evil"),
            ("Request-Method", "evil"),
            ("Content_Length", "7"),
        )
        environ = environ_for(FakeScope(headers=headers))
        assert environ["HTTP_X_FORWARDED_FOR"] == "203.0.113.9"
        assert environ["REMOTE_ADDR"] == "192.0.2.1"
        assert environ["REQUEST_METHOD"] == "GET"
        assert "CONTENT_LENGTH" not in environ

    @pytest.mark.parametrize(
        ("address", "host"),
        [
            ("192.0.2.1:4", "192.0.2.1"),
            ("[2001:db8::1]:4", "2001:db8::1"),
            ("[fe80::1%2]:4", "fe80::1"),
            ("", ""),
        ],
    )
    def test_addresses(self, address: str, host: str) -> None:
        environ = environ_for(FakeScope(client=address, server=address))
        assert environ["REMOTE_ADDR"] == environ["SERVER_NAME"] == host
        assert environ["SERVER_PORT"] == ("4" if address else "")

    @pytest.mark.parametrize(("version", "name"), [("1", "HTTP/1.0"), ("1.1", "HTTP/1.1"), ("2", "HTTP/2")])
    def test_protocols(self, version: str, name: str) -> None:
        """With HTTP/2 the host has no header of its own."""
        environ = environ_for(FakeScope(http_version=version, authority="book.example"))
        assert (environ["SERVER_PROTOCOL"], environ["HTTP_HOST"]) == (name, "book.example")

    def test_no_variable_of_the_process_is_in_it(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("SECRET_KEY", "hush")
        assert "hush" not in environ_for(FakeScope()).values()

    def test_a_body_has_its_length_however_it_was_sent(self) -> None:
        headers = FakeHeaders(("Transfer-Encoding", "chunked"))
        environ = environ_for(FakeScope(method="POST", headers=headers), FakeProtocol(b"ab", b"c"))
        assert (environ["CONTENT_LENGTH"], environ["wsgi.input"].read()) == ("3", b"abc")
        assert "HTTP_TRANSFER_ENCODING" not in environ

    def test_a_body_that_is_not_read(self) -> None:
        large = FakeHeaders(("Content-Length", str(LARGEST_BODY + 1)))
        environ = environ_for(FakeScope(method="POST", headers=large))
        assert (environ["CONTENT_LENGTH"], environ["wsgi.input"].read()) == (str(LARGEST_BODY + 1), b"")
        broken = FakeScope(method="POST", headers=FakeHeaders(("Content-Length", "5")))
        environ = environ_for(broken, FakeProtocol(b"abc", breaks_off=True))
        assert (environ[FAILURE].code, environ["CONTENT_LENGTH"]) == (400, "0")


class TestAnswers:
    def test_an_answer_with_a_length_is_sent_at_once_with_all_its_headers(self) -> None:
        cookies = [("Set-Cookie", "a=1"), ("Set-Cookie", "b=2")]

        def app(_environ: WSGIEnvironment, start: StartResponse) -> Iterator[bytes]:
            start("201 Created", [*cookies, LENGTH])
            return iter([b"h", b"", b"i"])

        protocol = answered(app)
        assert (protocol.status, protocol.sent, protocol.is_stream) == (201, [b"hi"], False)
        assert names(protocol.headers, "set-cookie") == ["a=1", "b=2"]

    @pytest.mark.parametrize("pieces", [[], [b""], [b"a"], [b"a", b"b"]])
    def test_a_list_is_sent_at_once(self, pieces: list[bytes]) -> None:
        def app(_environ: WSGIEnvironment, start: StartResponse) -> list[bytes]:
            start("200 OK", [])
            return pieces

        protocol = answered(app)
        assert (protocol.sent, protocol.is_stream) == ([b"".join(pieces)], False)

    def test_other_answers_are_sent_piece_by_piece_and_closed(self) -> None:
        result = Pieces(b"", b"one", b"", b"two")

        def app(_environ: WSGIEnvironment, start: StartResponse) -> Pieces:
            start("200 OK", [])
            return result

        protocol = answered(app)
        assert (protocol.sent, protocol.is_stream, result.closed) == ([b"one", b"two"], True, 1)

    def test_an_answer_may_be_begun_late_and_written(self) -> None:
        """A generator's code runs with its first piece; ``write`` is what PEP 3333 has for old applications."""

        def late(_environ: WSGIEnvironment, start: StartResponse) -> Iterator[bytes]:
            start("202 Accepted", [LENGTH])
            yield b"hi"

        def written(_environ: WSGIEnvironment, start: StartResponse) -> list[bytes]:
            write = start("200 OK", [])
            write(b"one ")
            write(b"two ")
            return [b"three"]

        assert (answered(late).status, answered(late).sent) == (202, [b"hi"])
        assert answered(written).sent == [b"one two three"]

    @pytest.mark.parametrize("error", [ValueError, SystemExit, KeyboardInterrupt])
    @pytest.mark.parametrize("when", ["called", "read", "closed"])
    def test_an_application_that_breaks_takes_nothing_with_it(
        self, error: type[BaseException], when: str
    ) -> None:
        """Two threads serve all of these."""
        requests = [(FakeScope(), FakeProtocol()) for _ in range(6)]

        def app(_environ: WSGIEnvironment, start: StartResponse) -> Iterable[bytes]:
            if when == "called":
                raise error
            start("200 OK", [LENGTH])
            return Pieces(b"h", b"i", breaks=error if when == "read" else None, at_close=error)

        send(app, *requests)
        expected = 200 if when == "closed" else 500
        assert [protocol.status for _, protocol in requests] == [expected] * 6

    @pytest.mark.parametrize("result", [[], [b"x"]])
    def test_an_answer_that_was_never_begun(self, result: list[bytes]) -> None:
        assert answered(lambda _environ, _start: result).status == 500

    def test_an_answer_may_be_replaced_until_it_is_sent(self) -> None:
        def early(_environ: WSGIEnvironment, start: StartResponse) -> list[bytes]:
            start("200 OK", [])
            try:
                raise ValueError("too late")
            except ValueError:
                start("503 Service Unavailable", [], sys.exc_info())
            return [b"x"]

        def late(_environ: WSGIEnvironment, start: StartResponse) -> Iterator[bytes]:
            start("200 OK", [])
            yield b"one"
            try:
                raise ValueError("too late")
            except ValueError:
                start("503 Service Unavailable", [], sys.exc_info())
            yield b"two"

        def twice(_environ: WSGIEnvironment, start: StartResponse) -> list[bytes]:
            start("200 OK", [])
            start("201 Created", [])
            return [b"x"]

        assert answered(early).status == 503
        assert (answered(late).status, answered(late).sent) == (200, [b"one"])
        assert answered(twice).status == 500

    def test_a_stream_ends_when_its_reader_has_left(self) -> None:
        protocol, result = FakeProtocol(), Pieces(b"one", b"two", b"three")

        def app(_environ: WSGIEnvironment, start: StartResponse) -> Pieces:
            start("200 OK", [])
            result.at_piece = lambda left: setattr(protocol, "is_gone", left == 1)
            return result

        answered(app, protocol)
        assert (protocol.sent, result.closed) == ([b"one"], 1)


class TestThreads:
    def test_so_many_requests_are_worked_on_at_a_time(self) -> None:
        lock, counts = threading.Lock(), {"now": 0, "most": 0}

        def app(_environ: WSGIEnvironment, start: StartResponse) -> list[bytes]:
            with lock:
                counts["now"] += 1
                counts["most"] = max(counts["most"], counts["now"])
            eventually(lambda: counts["most"] == 3, what="three at a time")
            with lock:
                counts["now"] -= 1
            start("204 No Content", [])
            return []

        send(app, *[(FakeScope(), FakeProtocol()) for _ in range(12)], threads=3)
        assert counts["most"] == 3

    def test_a_path_that_is_apart_waits_behind_no_other(self) -> None:
        """As a probe while every thread waits for a database: here, until the probe is answered."""
        probed = threading.Event()

        def app(environ: WSGIEnvironment, start: StartResponse) -> list[bytes]:
            if environ["PATH_INFO"] == "/healthz":
                probed.set()
            else:
                assert probed.wait(60)
            start("204 No Content", [])
            return []

        pages = [(FakeScope(path="/page"), FakeProtocol()) for _ in range(6)]
        probe = (FakeScope(path="/healthz"), FakeProtocol())
        send(app, *pages, probe, threads=2, apart=["/healthz"])
        assert [protocol.status for _, protocol in (*pages, probe)] == [204] * 7

    def test_none_is_begun_before_the_server_or_left_after_it(self) -> None:
        def app(_environ: WSGIEnvironment, start: StartResponse) -> list[bytes]:
            start("204 No Content", [])
            return []

        before = threading.active_count()
        Gateway(app, 5)
        assert threading.active_count() == before
        send(app, (FakeScope(), FakeProtocol()))
        assert not [one for one in threading.enumerate() if one.name.startswith("request-")]

    def test_an_application_is_found_by_its_name(self) -> None:
        assert isinstance(load("tests.unit.test_gateway:environ_for", threads=1), Gateway)


class Pieces:
    """A result that counts how often it is closed."""

    def __init__(
        self,
        *pieces: bytes,
        breaks: type[BaseException] | None = None,
        at_close: type[BaseException] | None = None,
    ) -> None:
        self._pieces = list(pieces)
        self._breaks = breaks
        self._at_close = at_close
        self.at_piece: Callable[[int], Any] = lambda _left: None
        self.closed = 0

    def __iter__(self) -> Iterator[bytes]:
        while self._pieces:
            piece = self._pieces.pop(0)
            self.at_piece(len(self._pieces))
            yield piece
            if self._breaks:
                raise self._breaks

    def close(self) -> None:
        self.closed += 1
        if self._at_close:
            raise self._at_close
