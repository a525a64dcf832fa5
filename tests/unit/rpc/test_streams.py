"""How many streams a principal may have open, and what ends them."""

from __future__ import annotations

import asyncio
import contextlib

import pytest
from indelible_server.domain.principal import Principal, Role
from indelible_server.errors import ResourceExhausted, Unauthenticated, Unavailable
from indelible_server.rpc import streams
from indelible_server.rpc.streams import OpenStreams

ANN, BOB = Principal("ann", Role.VIEWER), Principal("bob", Role.VIEWER)


async def refuse(_secret: str) -> Principal:
    """No token is valid."""
    raise Unauthenticated("UNAUTHENTICATED", "expired")


async def cannot_tell(_secret: str) -> Principal:
    """The database is away."""
    raise Unavailable("STORE_UNAVAILABLE", "away")


def test_one_too_many_is_refused_until_another_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streams, "STREAMS_A_PRINCIPAL", 2)

    async def open_some() -> None:
        opened = OpenStreams(refuse).opened
        with opened(ANN, "a"):
            with opened(ANN, "another token of hers"):
                with pytest.raises(ResourceExhausted) as refused, opened(ANN, "a"):
                    pass
                assert refused.value.metadata == {"limit": "max_streams", "maximum": "2"}
                with opened(BOB, "b"):
                    pass
            with opened(ANN, "a"):
                pass

    asyncio.run(open_some())


@pytest.mark.parametrize(("authenticate", "ends"), [(refuse, True), (cannot_tell, False)])
def test_a_stream_ends_when_its_token_is_no_more_and_not_when_nobody_can_tell(
    monkeypatch: pytest.MonkeyPatch, authenticate: streams.Authenticate, ends: bool
) -> None:
    monkeypatch.setattr(streams, "RECHECK_S", 0.01)

    async def wait_for_the_end() -> BaseException | None:
        open_streams = OpenStreams(authenticate)
        looking = asyncio.create_task(open_streams.end_those_without_a_token())
        try:
            with open_streams.opened(ANN, "a") as stream:
                try:
                    await asyncio.sleep(0.1)
                except asyncio.CancelledError as error:
                    return stream.cause(error)
        finally:
            looking.cancel()
        return None

    assert isinstance(asyncio.run(wait_for_the_end()), Unauthenticated) is ends


def test_what_is_wrong_with_one_token_does_not_keep_the_streams_of_others(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streams, "RECHECK_S", 0.01)

    async def broken_or_refused(secret: str) -> Principal:
        if secret.startswith("broken"):
            raise RuntimeError("as planned")
        return await refuse(secret)

    async def wait_for_the_end() -> BaseException | None:
        open_streams = OpenStreams(broken_or_refused)
        looking = asyncio.create_task(open_streams.end_those_without_a_token())
        try:
            with contextlib.ExitStack() as stack:
                for number in range(5):
                    stack.enter_context(open_streams.opened(BOB, f"broken {number}"))
                stream = stack.enter_context(open_streams.opened(ANN, "a"))
                try:
                    await asyncio.sleep(5)
                except asyncio.CancelledError as error:
                    return stream.cause(error)
        finally:
            looking.cancel()
        return None

    assert isinstance(asyncio.run(wait_for_the_end()), Unauthenticated)


def test_a_client_that_goes_away_is_no_refusal() -> None:
    async def go_away() -> None:
        with OpenStreams(refuse).opened(ANN, "a") as stream:
            gone = asyncio.CancelledError()
            assert stream.cause(gone) is gone

    asyncio.run(go_away())
