"""``flask calendly users`` and ``event-types``: what other commands want; these refuse what Calendly does not know."""

from __future__ import annotations

from click.testing import Result

from tests.live import FREE, HOUR, Live

KENJIS = "ETKENJIREVIEW030"

NOBODY = "NOBODY0000000001"


def run(live: Live, *arguments: str) -> Result:
    return live.runner().invoke(args=arguments, env={"BUILDER_PASSWORD": "three-quiet-otters"})


def create(live: Live, uri: str) -> Result:
    who = ("--slug", "grace", "--name", "Grace Hall", "--email", "grace@example.org")
    return run(live, "builders", "create", *who, "--calendly-user", uri)


def publish(live: Live, uri: str, slug: str = "ada") -> Result:
    price = ("--price", "60.00", "--currency", "GBP")
    return run(live, "session-types", "publish", "--builder", slug, "--event-type", uri, *price)


def test_users_are_listed_with_what_create_wants(live: Live) -> None:
    live.builder()
    result = run(live, "calendly", "users")
    assert result.exit_code == 0, result.output
    members = live.hands.server.sandbox.store.all("user")
    for member in members:
        assert member["email"] in result.output
        assert f"/users/{member['id']}" in result.output
    assert len(result.output.splitlines()) == len(members) + 1


def test_event_types_are_listed_with_what_publish_wants(live: Live) -> None:
    live.builder(types={HOUR: {}, FREE: {"price_minor": 0}})
    result = run(live, "calendly", "event-types")
    assert result.exit_code == 0, result.output
    lines = {line.split()[-1]: line for line in result.output.splitlines()}
    assert "60.00" in lines[live.hands.event_type(HOUR)]
    assert "free" in lines[live.hands.event_type(FREE)]
    assert run(live, "calendly", "event-types", "--builder", "ada").output == result.output
    assert run(live, "calendly", "event-types", "--builder", "nobody").exit_code == 1


def test_a_user_whom_calendly_does_not_know_is_refused(live: Live) -> None:
    known = live.hands.event_type(HOUR).partition("/event_types/")[0]
    result = create(live, f"{known}/users/{NOBODY}")
    assert result.exit_code == 1
    assert "flask calendly users" in result.output
    assert run(live, "calendly", "event-types", "--builder", "grace").exit_code == 1


def test_an_event_type_that_calendly_does_not_know_is_refused(live: Live) -> None:
    live.builder()
    known = live.hands.event_type(HOUR)
    result = publish(live, known.replace(HOUR, NOBODY))
    assert result.exit_code == 1
    assert "flask calendly event-types --builder ada" in result.output
    assert publish(live, known).exit_code == 0


def test_somebody_elses_event_type_is_asked_about(live: Live) -> None:
    live.builder()
    result = publish(live, live.hands.event_type(KENJIS))
    assert result.exit_code == 0, result.output
    assert "belongs to another user in Calendly, not to ada. Is that intended?" in result.output


def test_while_calendly_cannot_say_the_address_is_taken_as_it_is(live: Live) -> None:
    live.builder()
    uri = live.hands.event_type(HOUR)
    live.hands.control("faults", provider="calendly", kind="500")
    result = publish(live, uri)
    assert result.exit_code == 0, result.output
    assert "was not checked" in result.output
