"""A place for one writer: the process in it now, the item that it has in hand, and why it was ended."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from enum import Enum

from ..processes import Child

BACK_OFF_FIRST_S, BACK_OFF_LAST_S = 0.1, 30.0
# A writer that has begun this many files makes room for a fresh one: what a library leaks does not add up for ever.
RECYCLED_AFTER = 20_000


class Ended(Enum):
    """Why the supervisor has ended a writer."""

    HANGING = "HANGING"
    UNRENEWED = "UNRENEWED"


@dataclass
class Slot:
    """One writer at a time, started again whenever it ends."""

    writer_id: str = ""
    child: Child | None = None
    in_hand: tuple[int, int, str] | None = None
    heard_at: float = field(default_factory=time.monotonic)
    begun: int = 0
    back_off: float = BACK_OFF_FIRST_S
    ended: Ended | None = None

    @property
    def is_renewed(self) -> bool:
        """Whether the writer's leases are to be kept: not those of one that is killed and may take long to die."""
        return self.child is not None and self.ended is None

    def begin(self, writer_id: str) -> None:
        """Make room for a new writer."""
        self.writer_id, self.in_hand, self.ended, self.begun = writer_id, None, None, 0
        self.heard_at = time.monotonic()

    def took(self, catalog_id: int, item_id: int, token: str) -> None:
        """The writer says which item it takes in hand."""
        self.in_hand = catalog_id, item_id, token
        self.begun += 1
        if self.begun == RECYCLED_AFTER and self.child is not None:
            self.child.finish()

    def is_idle(self) -> None:
        """The writer says that it has nothing in hand: it has come through all that it was given."""
        self.in_hand, self.back_off = None, BACK_OFF_FIRST_S

    def hangs(self, seconds: float) -> bool:
        """Whether nothing was heard of the item in hand for so long."""
        return self.child is not None and self.in_hand is not None and time.monotonic() - self.heard_at > seconds

    def kill(self, why: Ended) -> None:
        """End the writer at once."""
        if self.child is not None:
            self.ended = why
            self.child.kill()

    def grow_back_off(self) -> None:
        """After a writer that failed, the next one waits longer."""
        self.back_off = min(self.back_off * 2, BACK_OFF_LAST_S)
