"""The one wrapper around every call: request id, log, caller, errors. Nothing else aborts a call.

The order matters: the id comes first so that every line and every error has it; the caller is checked before
the handler sees the request; the error map is outermost, so that a refusal is reported like any other error.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any, NoReturn

import grpc
import structlog
from google.rpc import status_pb2

from ..domain.principal import Principal
from ..errors import IndelibleError, Unauthenticated
from ..storage.ids import new_id
from .access import required_role
from .status import DETAILS, NotYetAvailable, describe, internal
from .streams import Authenticate, OpenStreams, Stream
from .undecodable import Undecodable, lenient

log = structlog.get_logger("rpc")

Context = grpc.aio.ServicerContext[Any, Any]


@dataclass(frozen=True)
class Call:
    """The call that is being handled."""

    method: str
    request_id: str
    principal: Principal


_call: ContextVar[Call] = ContextVar("call")


def caller() -> Principal:
    """Who makes the present call."""
    return _call.get().principal


def call_name() -> str:
    """The present call's name, as `Service/Method`."""
    return _call.get().method.removeprefix("/indelible.v1.")


class Wrapper(grpc.aio.ServerInterceptor):
    """Wraps the handlers of all four kinds of call."""

    def __init__(self, authenticate: Authenticate) -> None:
        self._authenticate = authenticate
        self.streams = OpenStreams(authenticate)

    async def intercept_service(self, continuation: Any, details: grpc.HandlerCallDetails) -> Any:
        """Give gRPC the wrapped handler of a call."""
        handler = await continuation(details)
        if handler is None:
            return None
        method = details.method
        if handler.request_streaming and handler.response_streaming:
            return grpc.stream_stream_rpc_method_handler(
                self._streamed(method, handler.stream_stream), *_codecs(handler)
            )
        if handler.request_streaming:
            return grpc.stream_unary_rpc_method_handler(self._single(method, handler.stream_unary), *_codecs(handler))
        if handler.response_streaming:
            return grpc.unary_stream_rpc_method_handler(self._streamed(method, handler.unary_stream), *_codecs(handler))
        return grpc.unary_unary_rpc_method_handler(self._single(method, handler.unary_unary), *_codecs(handler))

    def _single(self, method: str, handle: Any) -> Any:
        async def wrapped(request: Any, context: Context) -> Any:
            watch = _Stopwatch(method)
            try:
                await self._enter(method, watch.request_id, request, context)
                answer = await _awaited(handle(request, context))
            except BaseException as error:
                await watch.refuse(error, context)
            watch.done()
            return answer

        return wrapped

    def _streamed(self, method: str, handle: Any) -> Any:
        async def wrapped(request: Any, context: Context) -> AsyncIterator[Any]:
            watch = _Stopwatch(method)
            stream: Stream | None = None
            try:
                entered = await self._enter(method, watch.request_id, request, context)
                with contextlib.nullcontext() if entered is None else self.streams.opened(*entered) as stream:
                    answers = handle(request, context)
                    if asyncio.iscoroutine(answers):  # the health service writes its answers itself
                        await answers
                        return
                    async for answer in answers:
                        yield answer
            except GeneratorExit:
                raise
            except BaseException as error:
                await watch.refuse(error if stream is None else stream.cause(error), context)
            watch.done()

        return wrapped

    async def _enter(
        self, method: str, request_id: str, request: Any, context: Context
    ) -> tuple[Principal, str] | None:
        """Let a call in, or refuse it; returns the caller and its secret, None for a call that is open to all."""
        metadata = {key: value for key, value in context.invocation_metadata() or () if isinstance(value, str)}
        role = required_role(method)
        if role is None:
            return None
        scheme, _, secret = metadata.get("authorization", "").partition(" ")
        if scheme.lower() != "bearer" or not secret:
            raise Unauthenticated(
                "UNAUTHENTICATED",
                "No token: send the metadata `authorization: Bearer TOKEN`. The server's data folder has one.",
            )
        principal = await self._authenticate(secret.strip())
        _call.set(Call(method, request_id, principal))
        principal.require(role)
        if isinstance(request, Undecodable):
            raise request.error
        return principal, secret.strip()


class _Stopwatch:
    """One call in the log, from its beginning to its end."""

    def __init__(self, method: str) -> None:
        self.request_id = new_id()
        self._method = method.lstrip("/")
        self._log = log.bind(method=method, request_id=self.request_id)
        self._started = time.monotonic()

    def done(self) -> None:
        self._log.debug("call", seconds=self._seconds())

    async def refuse(self, error: BaseException, context: Context) -> NoReturn:
        if isinstance(error, asyncio.CancelledError):
            raise error  # swallowed, it would leak the call inside gRPC
        if isinstance(error, NotImplementedError):
            error = NotYetAvailable("This call")
        if isinstance(error, NotYetAvailable):
            error.metadata["call"] = self._method
        if isinstance(error, IndelibleError):
            self._log.info("refused", reason=error.reason, message=error.message, seconds=self._seconds())
            await _abort(context, *describe(error, self.request_id))
        if isinstance(error, grpc.aio.AbortError):
            raise error
        self._log.error("failed", exc_info=error, seconds=self._seconds())
        await _abort(context, *internal(self.request_id))

    def _seconds(self) -> float:
        return round(time.monotonic() - self._started, 6)


async def _abort(context: Context, code: grpc.StatusCode, status: status_pb2.Status) -> NoReturn:
    await context.abort(code, status.message, ((DETAILS, status.SerializeToString()),))


async def _awaited(answer: Any) -> Any:
    """The health service's handlers are plain functions on some paths; ours are coroutines."""
    return await answer if asyncio.iscoroutine(answer) else answer


def _codecs(handler: Any) -> tuple[Any, Any]:
    return lenient(handler.request_deserializer), handler.response_serializer
