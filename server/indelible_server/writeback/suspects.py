"""Which file has ended the process that was writing it, and what is put on record of it."""

from __future__ import annotations

import time
from dataclasses import dataclass

from .slot import Ended, Slot

# Two deaths over the same item within this time are no coincidence.
REMEMBERED_S = 3600.0


@dataclass(frozen=True)
class Suspect:
    """An item that has ended its writer."""

    catalog_id: int
    item_id: int
    token: str
    reason: str
    transient: bool
    message: str


class Suspects:
    """Remembers which items were in hand when a writer died. One that does it twice is not tried again by itself."""

    def __init__(self) -> None:
        self._died_at: dict[tuple[int, int], float] = {}

    def of(self, slot: Slot, status: int) -> Suspect | None:
        """The item that ended the writer of this slot, if it is to be blamed."""
        if status == 0 or slot.in_hand is None or slot.ended is Ended.UNRENEWED:
            return None
        catalog_id, item_id, token = slot.in_hand
        if slot.ended is Ended.HANGING:
            return Suspect(catalog_id, item_id, token, "TIMEOUT", True, "Writing this file took too long.")
        now = time.monotonic()
        self._died_at = {item: at for item, at in self._died_at.items() if now - at < REMEMBERED_S}
        if self._died_at.pop((catalog_id, item_id), None) is None:
            self._died_at[catalog_id, item_id] = now
            return None
        message = "This file ended the process that was writing it, twice. It is damaged, or made to do so."
        return Suspect(catalog_id, item_id, token, "CRASHED", False, message)
