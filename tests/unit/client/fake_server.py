"""A gRPC server of the whole contract whose answers the test gives."""

import queue
from collections.abc import Callable, Iterator
from concurrent import futures
from dataclasses import dataclass, field
from typing import Any

import grpc
from google.protobuf.message import Message
from google.rpc import error_details_pb2, status_pb2
from indelible.v1 import (
    admin_service_pb2_grpc,
    catalog_service_pb2_grpc,
    item_service_pb2_grpc,
    job_service_pb2_grpc,
    library_service_pb2_grpc,
    remote_service_pb2_grpc,
    sync_service_pb2_grpc,
)

Answer = Callable[[Any, grpc.ServicerContext], Any]


@dataclass
class Call:
    """A call as it arrived."""

    name: str
    request: Any
    metadata: dict[str, str]
    seconds_left: float


@dataclass
class FakeServer:
    """Answers each call by what `answers` has under its name, else NOT_YET_AVAILABLE; keeps what arrived."""

    address: str = "127.0.0.1:0"
    answers: dict[str, Answer] = field(default_factory=dict)
    calls: list[Call] = field(default_factory=list)

    def start(self) -> "FakeServer":
        self._server = grpc.server(futures.ThreadPoolExecutor(max_workers=8))
        for module in (
            admin_service_pb2_grpc,
            catalog_service_pb2_grpc,
            item_service_pb2_grpc,
            job_service_pb2_grpc,
            library_service_pb2_grpc,
            remote_service_pb2_grpc,
            sync_service_pb2_grpc,
        ):
            for name in list(vars(module)):  # another thread may import or warn meanwhile
                if name.startswith("add_"):
                    getattr(module, name)(_Servicer(self), self._server)
        port = self._server.add_insecure_port(self.address)
        self.address = f"127.0.0.1:{port}"
        self._server.start()
        return self

    def stop(self) -> None:
        self._server.stop(None).wait()

    def gives(self, **answers: Message) -> None:
        """Answer these calls with these messages."""
        for name, message in answers.items():
            self.answers[name] = lambda request, context, message=message: message

    def named(self, name: str) -> list[Any]:
        """The requests of all calls of this name."""
        return [call.request for call in self.calls if call.name == name]


class _Servicer:
    def __init__(self, server: FakeServer) -> None:
        self._server = server

    def __getattr__(self, name: str) -> Answer:
        def answer(request: Any, context: grpc.ServicerContext) -> Any:
            metadata = {key: str(value) for key, value in context.invocation_metadata()}
            self._server.calls.append(Call(name, request, metadata, context.time_remaining()))
            if name not in self._server.answers:
                abort(
                    context,
                    grpc.StatusCode.UNIMPLEMENTED,
                    "NOT_YET_AVAILABLE",
                    f"{name} is not available yet",
                )
            return self._server.answers[name](request, context)

        return answer


def abort(
    context: grpc.ServicerContext,
    status: grpc.StatusCode,
    reason: str,
    message: str,
    *details: Message,
    **metadata: str,
) -> None:
    """End a call as the real server does: with google.rpc.Status and its details."""
    rich = status_pb2.Status(code=status.value[0], message=message)
    info = error_details_pb2.ErrorInfo(reason=reason, domain="indelible", metadata=metadata)
    for detail in (info, *details):
        rich.details.add().Pack(detail)
    context.set_trailing_metadata((("grpc-status-details-bin", rich.SerializeToString()),))
    context.abort(status, message)


class Feed:
    """A stream that sends what is put into it, and stays open until the client or the server ends it."""

    def __init__(self, *messages: Message) -> None:
        self._messages: queue.Queue[Message] = queue.Queue()
        for message in messages:
            self._messages.put(message)

    def __call__(self, request: Any, context: grpc.ServicerContext) -> Iterator[Message]:
        while context.is_active():
            try:
                yield self._messages.get(timeout=0.05)
            except queue.Empty:
                continue
