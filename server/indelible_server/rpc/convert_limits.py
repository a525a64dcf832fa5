"""Schedules and budgets: messages of the contract, and what is stored of them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from indelible.v1 import catalog_pb2

from ..domain.budgets import Budget, make_budget
from ..domain.schedule import EVERY_DAY, Schedule, clock, make_schedule


def schedule_message(stored: Mapping[str, Any] | None) -> catalog_pb2.WriteSchedule | None:
    """The schedule of a catalog; None: at any time."""
    if stored is None:
        return None
    schedule = Schedule.from_json(stored)
    windows = [
        catalog_pb2.WriteWindow(
            days=[] if window.days == EVERY_DAY else sorted(map(catalog_pb2.Weekday.ValueType, window.days)),
            start=clock(window.start),
            end=clock(window.end),
        )
        for window in schedule.windows
    ]
    return catalog_pb2.WriteSchedule(windows=windows, time_zone=schedule.time_zone)


def stored_schedule(message: catalog_pb2.WriteSchedule, field: str) -> dict[str, Any] | None:
    """The schedule as it is stored; None if it says nothing. Raises `InvalidArgument`."""
    windows = [(window.days, window.start, window.end) for window in message.windows]
    schedule = make_schedule(windows, message.time_zone, field)
    return schedule.to_json() if windows or message.time_zone else None


def budget_message(stored: Mapping[str, int] | None) -> catalog_pb2.WriteBudget | None:
    """A budget; None: no limit."""
    return None if stored is None else catalog_pb2.WriteBudget(**vars(Budget.from_json(stored)))


def stored_budget(message: catalog_pb2.WriteBudget, field: str) -> dict[str, int] | None:
    """The budget as it is stored; None if it sets no limit. Raises `InvalidArgument`."""
    return make_budget(message.items_per_minute, message.bytes_per_second, field)
