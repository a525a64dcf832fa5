"""How a command ends when it does not end well: what is wrong, what to do next, and the exit status."""

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import grpc
import typer

from indelible_client import formats
from indelible_client.assignments import AssignmentError
from indelible_client.errors import Refused, Unreachable

ENDED_WITH_FAILURES = 1
WRONG_USE = 2
REFUSED = 3
INTERRUPTED = 130

# What to do next, by the reason; {names} are from the error's metadata.
_HINTS = {
    "NOT_YET_AVAILABLE": "A newer server may be able to; this command line knows the call already.",
    "CATALOG_NOT_FOUND": "`indelible catalog list` shows the catalogs.",
    "CATALOG_BUSY": "Try again in a moment.",
    "UNSYNCED_ITEMS": "Write them (`indelible sync start NAME --wait`), or lose them with --force.",
    "ROOT_NOT_FOUND": "`indelible catalog set NAME root=+PATH` adds one; `catalog show` shows them.",
    "ROOT_IN_USE": "Items below a root go first.",
    "ROOT_NOT_A_FOLDER": "The path must be a folder on the server's machine.",
    "ROOT_NOT_WRITABLE": "Give the server's user the right to write there, or use --read-only-root.",
    "ROOT_OFFLINE": "Mount the folder again; `indelible catalog show NAME` shows which root it is.",
    "ITEM_NOT_FOUND": "`indelible items NAME` shows the paths.",
    "STALE_REVISION": "Someone else changed it meanwhile. Look at it, then do it again.",
    "WRITE_NOT_FOUND": "`indelible history NAME PATH` shows the writes.",
    "UNDO_EXPIRED": "`indelible history NAME PATH` shows which writes can still be undone.",
    "RUN_NOT_FOUND": "`indelible history NAME PATH` shows the runs behind the writes of an item.",
    "RUN_ACTIVE": "Wait for it with `indelible sync start NAME --wait`.",
    "JOB_NOT_FOUND": "`indelible job list` shows the jobs.",
    "JOB_RUNNING": "Watch it: `indelible job watch {job_id}`; stop it: `indelible job cancel {job_id}`.",
    "REMOTE_NOT_FOUND": "`indelible remote list` shows the remotes.",
    "REMOTE_KIND_UNKNOWN": "This server knows: {kinds}.",
    "BATCH_NOT_FOUND": "`indelible batches NAME` shows the batches.",
    "UNSENT_DRAFTS": "Send them (`indelible pull start NAME --send-local-changes`), or lose them: --force.",
    "UNAUTHENTICATED": "Give --token or INDELIBLE_TOKEN, or the data folder of a local server with --data.",
    "PERMISSION_DENIED": "It takes a token with a higher role; ask an admin of the server.",
    "STORE_BUSY": "Try again in a moment.",
    "SERVER_STOPPING": "Try again when it is back.",
    "INTERNAL": "The server's log has the rest under the id {error_id}.",
}


_NOT_REACHED = "Start it with `indelibled serve`, or name another with --server or INDELIBLE_SERVER."


class WrongUseError(Exception):
    """The command line makes no sense; the message says why and what would."""


class StoppedWaitingError(Exception):
    """The user ended the wait; the message says how the work itself goes on."""


@contextmanager
def reported(as_json: bool) -> Iterator[None]:
    """Turn what a command raises into a message on stderr and an exit status."""
    try:
        yield
    except (WrongUseError, AssignmentError) as error:
        _end(as_json, WRONG_USE, str(error), status="INVALID_ARGUMENT", reason="WRONG_USE")
    except Unreachable as error:
        cause = error.cause.rpartition(": ")[2]  # the rest is gRPC telling of its attempts
        message = f"no answer from {error.address} ({cause})"
        _end(as_json, REFUSED, message, _NOT_REACHED, status="UNAVAILABLE", reason="UNREACHABLE")
    except Refused as error:
        _refused(as_json, error)
    except StoppedWaitingError as error:
        _end(as_json, INTERRUPTED, str(error), status="CANCELLED", reason="INTERRUPTED")
    except KeyboardInterrupt:
        raise typer.Exit(INTERRUPTED) from None


def _refused(as_json: bool, error: Refused) -> None:
    reason = error.reason
    if error.status is grpc.StatusCode.UNIMPLEMENTED and not reason:
        reason = "NOT_YET_AVAILABLE"  # an older server does not know the call at all
    violations = [each for each in error.field_violations if each.description not in error.message]
    message = "; ".join([error.message, *(f"{each.field}: {each.description}" for each in violations)])
    field = error.field_violations[0].field if error.field_violations else error.metadata.get("field", "")
    hint = _HINTS.get(reason, "").format_map(_Known(error.metadata))
    _end(
        as_json,
        REFUSED,
        message,
        hint,
        status=error.status.name,
        reason=reason,
        field=field,
        request_id=error.request_id,
    )


class _Known(dict[str, str]):
    """Metadata that a server may have left out."""

    def __missing__(self, key: str) -> str:
        return key.upper()


def _end(
    as_json: bool,
    exit_status: int,
    message: str,
    hint: str = "",
    *,
    status: str,
    reason: str,
    field: str = "",
    request_id: str = "",
) -> None:
    if as_json:
        error = {
            "status": status,
            "reason": reason,
            "message": message,
            "field": field,
            "request_id": request_id,
        }
        print(json.dumps({"error": error}, ensure_ascii=False), file=sys.stderr)
    else:
        text = f"indelible: {message}\n{hint}" if hint else f"indelible: {message}"
        print(formats.printable(text), file=sys.stderr)
    raise typer.Exit(exit_status)
