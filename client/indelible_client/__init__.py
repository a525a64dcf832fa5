"""The thin client of Indelible: the generated stubs, with the manners that every caller needs.

It needs grpcio and protobuf, and nothing of the server.
"""

from indelible_client.connection import Client, connect
from indelible_client.errors import FieldViolation, IndelibleError, Refused, Relist, Unreachable
from indelible_client.pages import pages
from indelible_client.watch import watch_items, watch_job, watch_run, watch_status, watch_sync

__all__ = [
    "Client",
    "FieldViolation",
    "IndelibleError",
    "Refused",
    "Relist",
    "Unreachable",
    "connect",
    "pages",
    "watch_items",
    "watch_job",
    "watch_run",
    "watch_status",
    "watch_sync",
]
