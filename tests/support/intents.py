"""Intents for tests of the store, which never looks into a plan."""

from __future__ import annotations

from indelible_server.storage import intents
from indelible_server.storage.database import Database
from indelible_server.storage.ids import new_id
from indelible_server.storage.intents import Intent, Settled
from indelible_server.storage.item import Item
from indelible_server.storage.writes import VERIFIED, Note


def make_intent(item: Item, target: bytes | None = None, **values: object) -> Intent:
    """An intent for the item's file, or for another target of the same root."""
    defaults: dict[str, object] = {
        "intent_id": new_id(),
        "catalog_id": item.catalog_id,
        "item_id": item.item_id,
        "root_id": item.root_id,
        "target": item.key if target is None else target,
        "revision": item.revision,
        "run_id": None,
        "plan": b"plan \0\xff",
        "expected": "{}",
    }
    return Intent(**defaults | values)  # type: ignore[arg-type]


def settle(database: Database, intent: Intent, note: Note, bytes_written: int = 1) -> None:
    """Move an intent to the write history, as one that was carried out and verified."""
    done = Settled([intent], VERIFIED, bytes_written, note)
    database.write(intents.settle, intent.catalog_id, [done])
