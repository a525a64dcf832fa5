"""What people can do about a failure, by its reason: the end of each message that they are shown."""

from __future__ import annotations

from collections.abc import Mapping

_BY_ITSELF = "it is tried again by itself."

ADVICE: Mapping[str, str] = {
    "READ_ONLY": "Make it writable, then retry.",
    "PERMISSION_DENIED": "Give the server's user the right to write there, then retry.",
    "LOCKED": f"Close it in other programs; {_BY_ITSELF}",
    "MISSING": "Put the file back and retry, or remove the item from the catalog.",
    "NOT_A_FILE": "Put the file back and retry, or remove the item from the catalog.",
    "CORRUPT": "Mend the file and retry, or let the policy put tags of its format into sidecars.",
    "UNSUPPORTED": "Let the policy put tags of its format into sidecars, then retry.",
    "TOO_LARGE": "Shorten the tags, or let the policy put them into sidecars, then retry.",
    "SIGNED": "Let the policy put tags of its format into sidecars, then retry.",
    "NO_SPACE": f"Make room there; {_BY_ITSELF}",
    "IO_ERROR": f"Look after the disk or the share; {_BY_ITSELF}",
    "STORAGE_OFFLINE": f"Bring the storage back; {_BY_ITSELF}",
    "CONFLICT": f"Let the other program come to its end; {_BY_ITSELF}",
    "TIMEOUT": f"Look after a slow disk or share; {_BY_ITSELF}",
    "CRASHED": "Look at the file with another program; retry when it is mended.",
    "VERIFY_FAILED": "Retry; if it fails again, look after the disk or the share.",
}


def with_advice(message: str, reason: str) -> str:
    """The message of a failure with what to do next; a reason that an older server stored has none."""
    return f"{message.rstrip('. ')}. {ADVICE[reason]}" if reason in ADVICE else message
