"""RemoteService: its calls come with the pull engine; until then they answer NOT_YET_AVAILABLE."""

from __future__ import annotations

from indelible.v1 import remote_service_pb2_grpc


class RemoteService(remote_service_pb2_grpc.RemoteServiceServicer):
    """Remote sources of a catalog."""
