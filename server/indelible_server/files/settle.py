"""Settlement: what became of a change that was under way when its writer died. Judged by content alone."""

from __future__ import annotations

from enum import StrEnum

from .plan import FilePlan
from .port import Root


class Outcome(StrEnum):
    """NEW: the change is made. OLD: it was never begun. FOREIGN: someone else has written since; left as it is."""

    NEW = "NEW"
    OLD = "OLD"
    FOREIGN = "FOREIGN"


def settle(root: Root, plan: FilePlan) -> Outcome:
    """Find out, complete a torn patch, and remove the temp file of the plan. May be repeated any number of times."""
    raise NotImplementedError
