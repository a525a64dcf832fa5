"""All tables. The schema carries the rules that must hold whatever the code does.

Every table of a catalog's rows leads with `catalog_id`, so that it can be sharded by it. Times are integer
milliseconds of the database's clock. File names are bytes. JSON is text: nothing is searched inside it.
"""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Float,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    SmallInteger,
    String,
    Table,
    Text,
    text,
)
from sqlalchemy.types import TypeEngine

metadata = MetaData()

# Ids that a single-column key hands out: SQLite only counts up by itself for INTEGER.
Serial = BigInteger().with_variant(Integer, "sqlite")

# Display paths are ordered and ranged by code point on both databases.
PathText: TypeEngine[str] = Text().with_variant(Text(collation="C"), "postgresql")


store = Table(
    "store",
    metadata,
    Column("one", SmallInteger, primary_key=True, comment="always 1; locked first by what spans catalogs"),
    Column("store_id", String(32), nullable=False, comment="changed by restore and transfer"),
    Column("created_at", BigInteger, nullable=False),
)

catalogs = Table(
    "catalogs",
    metadata,
    Column("catalog_id", Serial, primary_key=True),
    Column("name", Text, nullable=False),
    Column("description", Text, nullable=False, server_default=""),
    Column("auto_sync", Boolean, nullable=False, comment="false: PAUSED, the default"),
    Column("policy", Text, nullable=False, comment="MetadataPolicy, JSON"),
    Column("quiet_ms", Integer, nullable=False),
    Column("revision", BigInteger, nullable=False, comment="of its settings"),
    Column("created_at", BigInteger, nullable=False),
    Column("updated_at", BigInteger, nullable=False),
    Column("deleted_at", BigInteger, comment="being removed, part by part; its name is free again"),
    Column("schedule", Text, comment="when files may be written, JSON; null: at any time"),
    Column("budget", Text, comment="how much may be written, JSON; null: no limit"),
    # No number is ever given twice: an old id must not come to mean another catalog.
    sqlite_autoincrement=True,
)
# One living catalog of a name.
Index(
    "catalogs_name",
    catalogs.c.name,
    unique=True,
    sqlite_where=text("deleted_at IS NULL"),
    postgresql_where=text("deleted_at IS NULL"),
)

counters = Table(
    "counters",
    metadata,
    Column("catalog_id", BigInteger, primary_key=True, autoincrement=False),
    Column("revision", BigInteger, nullable=False, comment="raised once by each transaction that changes items"),
    Column("next_item_id", BigInteger, nullable=False),
    Column("compacted_revision", BigInteger, nullable=False, comment="tombstones up to here are gone"),
    Column("total", Integer, nullable=False),
    Column("unsynced", Integer, nullable=False),
    Column("failed", Integer, nullable=False),
    Column("conflicted", Integer, nullable=False),
    Column("held", Integer, nullable=False),
    Column("missing", Integer, nullable=False),
)

roots = Table(
    "roots",
    metadata,
    Column("root_id", String(32), primary_key=True, comment="as in its marker file"),
    Column("catalog_id", BigInteger, nullable=False, index=True),
    Column("path", LargeBinary, nullable=False, comment="real path on the host that approved it"),
    Column("read_only", Boolean, nullable=False),
    Column("identity", Text, nullable=False, comment="read-only roots: device and inode, as there is no marker"),
    Column("position", Integer, nullable=False, comment="order in the catalog"),
    Column("unsynced", Integer, nullable=False, comment="kept count, shown when the root is offline"),
    Column("offline_since", BigInteger),
    Column("created_at", BigInteger, nullable=False),
    Column("abilities", Text, comment="what its storage could do when it was approved, JSON; null: not tried"),
    Column("budget", Text, comment="how much may be written below it, JSON; null: no limit"),
)

items = Table(
    "items",
    metadata,
    Column("catalog_id", BigInteger, primary_key=True, autoincrement=False),
    Column("item_id", BigInteger, primary_key=True, autoincrement=False),
    Column("root_id", String(32), nullable=False),
    Column("key", LargeBinary, nullable=False, comment="path below the root, as the file system has it"),
    Column("path", PathText, nullable=False, comment="the key for people: invalid bytes escaped"),
    Column("format", Text, nullable=False),
    Column("size", BigInteger, nullable=False),
    Column("mtime_ns", BigInteger, nullable=False),
    Column("inode", BigInteger, nullable=False),
    Column("width", Integer),
    Column("height", Integer),
    Column("tags", Text, nullable=False, comment="what people want, JSON"),
    Column("homes", Text, nullable=False, comment="per home what was last verified there, JSON"),
    Column("stale", Text, nullable=False, comment="per home the fields that it said in several ways, JSON"),
    Column("sidecar", LargeBinary, comment="key of the sidecar, chosen once"),
    Column("note", Text, nullable=False, comment="why it is where it is, for readers"),
    Column("revision", BigInteger, nullable=False, comment="of the last tag edit"),
    Column("synced_revision", BigInteger, nullable=False, comment="the edit that is verified in the file"),
    Column("change_revision", BigInteger, nullable=False, comment="of the last visible change"),
    Column("unsynced_since", BigInteger, comment="revision of the oldest unverified edit; null: synced"),
    Column("state", SmallInteger, nullable=False, comment="ItemState"),
    Column("due_at", BigInteger, comment="when auto-sync may write it; null: never by itself"),
    Column("missing_since", BigInteger),
    Column("failure", Text, comment="FailureReason of the last attempt"),
    Column("failure_message", Text, nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("conflicts", Text, nullable=False, comment="JSON list, empty unless CONFLICTED"),
    Column("hold", Text, comment="why it is held, JSON; null: it is not"),
    Column("counted_run", String(32), comment="the last run that has counted this item"),
    Column("verified_at", BigInteger),
    Column("dates", Text, comment="per home the date of its metadata when it was verified, JSON; null: not noted"),
)
# A file is one item of its catalog.
Index("items_key", items.c.catalog_id, items.c.root_id, items.c.key, unique=True)
Index("items_path", items.c.catalog_id, items.c.path, items.c.item_id)
Index("items_change", items.c.catalog_id, items.c.change_revision, items.c.item_id)
for _name, _column in (("items_due", items.c.due_at), ("items_unsynced", items.c.unsynced_since)):
    _present = text(f"{_column.name} IS NOT NULL")
    Index(_name, items.c.catalog_id, _column, items.c.item_id, sqlite_where=_present, postgresql_where=_present)
Index(
    "items_state",
    items.c.catalog_id,
    items.c.state,
    items.c.path,
    sqlite_where=text("state <> 0"),
    postgresql_where=text("state <> 0"),
)

tombstones = Table(
    "tombstones",
    metadata,
    Column("catalog_id", BigInteger, primary_key=True, autoincrement=False),
    Column("change_revision", BigInteger, primary_key=True, autoincrement=False),
    Column("item_id", BigInteger, primary_key=True, autoincrement=False),
    Column("path", Text, nullable=False),
    Column("removed_at", BigInteger, nullable=False),
)

history = Table(
    "history",
    metadata,
    Column("catalog_id", BigInteger, primary_key=True, autoincrement=False),
    Column("item_id", BigInteger, primary_key=True, autoincrement=False),
    Column("revision", BigInteger, primary_key=True, autoincrement=False),
    Column("at", BigInteger, nullable=False),
    Column("principal", Text, nullable=False),
    Column("on_behalf_of", Text, nullable=False),
    Column("source", Text, nullable=False, comment="EDIT, RESCAN, PULL:NAME, IMPORT, UNDO"),
    Column("run_id", String(32)),
    Column("changes", Text, nullable=False, comment="field -> [old, new], JSON"),
)

writes = Table(
    "writes",
    metadata,
    Column("catalog_id", BigInteger, primary_key=True, autoincrement=False),
    Column("item_id", BigInteger, primary_key=True, autoincrement=False),
    Column("intent_id", String(32), primary_key=True, comment="sorts by time"),
    Column("at", BigInteger, nullable=False),
    Column("run_id", String(32)),
    Column("outcome", Text, nullable=False, comment="VERIFIED, or FOREIGN: someone else's content was found"),
    Column("bytes_written", BigInteger, nullable=False),
    Column("write_id", String(32), comment="of all files written at once, the first one's; null: by an older server"),
    Column("revision", BigInteger, comment="the edit that the files hold since"),
    Column("method", Text, comment="how the first file was written"),
    Column("changes", Text, comment="what the item's files said before and after, field -> [old, new], JSON"),
    Column("undo_of", String(32), comment="the write that this one took back; null: an ordinary write"),
    Column("principal", Text, comment="who asked for the undo; empty: an ordinary write"),
    Column("on_behalf_of", Text),
    Column("plan", LargeBinary, nullable=False, comment="the settled intent, with the old bytes: undo; empty: expired"),
)
_of_a_run = text("run_id IS NOT NULL")
Index(
    "writes_run",
    writes.c.catalog_id,
    writes.c.run_id,
    writes.c.item_id,
    sqlite_where=_of_a_run,
    postgresql_where=_of_a_run,
)

undos = Table(
    "undos",
    metadata,
    Column("catalog_id", BigInteger, primary_key=True, autoincrement=False),
    Column("item_id", BigInteger, primary_key=True, autoincrement=False, comment="rows go as they are dealt with"),
    Column("job_id", String(32), nullable=False, comment="says which write is to be taken back"),
    Column("below", String(32), comment="the write that was taken back last: the next one is older"),
    Column("attempts", Integer, nullable=False),
    Column("due_at", BigInteger, nullable=False),
)

leases = Table(
    "leases",
    metadata,
    Column("catalog_id", BigInteger, primary_key=True, autoincrement=False),
    Column("item_id", BigInteger, primary_key=True, autoincrement=False, comment="one writer an item"),
    Column("token", String(32), nullable=False, comment="of the claim; fences the acknowledgement"),
    Column("writer_id", String(32), nullable=False, index=True),
    Column("deadline", BigInteger, nullable=False),
)

intents = Table(
    "intents",
    metadata,
    Column("intent_id", String(32), primary_key=True),
    Column("catalog_id", BigInteger, nullable=False),
    Column("item_id", BigInteger, nullable=False),
    Column("root_id", String(32), nullable=False),
    Column("target", LargeBinary, nullable=False, comment="folded key of the file to be written"),
    Column("revision", BigInteger, nullable=False),
    Column("run_id", String(32)),
    Column("plan", LargeBinary, nullable=False, comment="old and new bytes: enough to settle by content"),
    Column("expected", Text, nullable=False, comment="what the item's homes hold once it is carried out, JSON"),
    Column("created_at", BigInteger, nullable=False),
)
# One live intent a target file, over all catalogs (I5).
Index("intents_target", intents.c.root_id, intents.c.target, unique=True)
Index("intents_item", intents.c.catalog_id, intents.c.item_id)

runs = Table(
    "runs",
    metadata,
    Column("catalog_id", BigInteger, primary_key=True, autoincrement=False),
    Column("run_id", String(32), primary_key=True),
    Column("state", Text, nullable=False, comment="RUNNING, SUSPENDED, COMPLETED, CANCELLED, GAVE_UP"),
    Column("start_revision", BigInteger, nullable=False, comment="members: unsynced_since up to here"),
    Column("selected", Boolean, nullable=False, comment="true: members are frozen in run_items"),
    Column("total", Integer, nullable=False),
    Column("done", Integer, nullable=False),
    Column("failed", Integer, nullable=False),
    Column("conflicted", Integer, nullable=False),
    Column("skipped", Integer, nullable=False),
    Column("bytes_written", BigInteger, nullable=False),
    Column("principal", Text, nullable=False),
    Column("on_behalf_of", Text, nullable=False),
    Column("give_up_ms", BigInteger, nullable=False),
    Column("started_at", BigInteger, nullable=False),
    Column("progressed_at", BigInteger, nullable=False),
    Column("ended_at", BigInteger),
    Column(
        "outside_window",
        Boolean,
        nullable=False,
        server_default=text("false"),
        comment="the catalog's schedule does not stop it",
    ),
    Column("reasons", Text, comment="its failures, counted by reason, JSON; null: none"),
    Column("rate", Float, comment="items a second in the last while; null: not known"),
)
# One run a catalog: a second StartSync is given the first.
Index(
    "runs_one_active",
    runs.c.catalog_id,
    unique=True,
    sqlite_where=text("ended_at IS NULL"),
    postgresql_where=text("ended_at IS NULL"),
)

spending = Table(
    "spending",
    metadata,
    Column("catalog_id", BigInteger, primary_key=True, autoincrement=False),
    Column("root_id", String(32), primary_key=True, comment="empty: the budget of the catalog as a whole"),
    Column("kind", Text, primary_key=True, comment="items, bytes"),
    Column("earned_at", BigInteger, nullable=False, comment="when all that was spent of the budget is earned again"),
)

run_items = Table(
    "run_items",
    metadata,
    Column("catalog_id", BigInteger, primary_key=True, autoincrement=False),
    Column("run_id", String(32), primary_key=True),
    Column("item_id", BigInteger, primary_key=True, autoincrement=False),
)

changes = Table(
    "changes",
    metadata,
    Column("catalog_id", BigInteger, primary_key=True, autoincrement=False),
    Column("change_id", String(32), primary_key=True),
    Column("principal", Text, nullable=False),
    Column("on_behalf_of", Text, nullable=False),
    Column("source", Text, nullable=False),
    Column("edits", Text, nullable=False, comment="JSON"),
    Column("request", Text, nullable=False, comment="the key of the request to answer when it is done, JSON"),
    Column("matched", Integer, nullable=False),
    Column("changed", Integer, nullable=False),
    Column("first_revision", BigInteger, nullable=False),
    Column("last_revision", BigInteger, nullable=False),
    Column("created_at", BigInteger, nullable=False),
)

change_items = Table(
    "change_items",
    metadata,
    Column("catalog_id", BigInteger, primary_key=True, autoincrement=False),
    Column("change_id", String(32), primary_key=True),
    Column("item_id", BigInteger, primary_key=True, autoincrement=False, comment="rows go as they are worked off"),
)

requests = Table(
    "requests",
    metadata,
    Column("principal", Text, primary_key=True),
    Column("call", Text, primary_key=True),
    Column("request_id", Text, primary_key=True, comment="unique by principal and call"),
    Column("digest", LargeBinary, nullable=False, comment="of the request's content"),
    Column("answer", LargeBinary, comment="null: still being worked off"),
    Column("created_at", BigInteger, nullable=False, index=True),
)

jobs = Table(
    "jobs",
    metadata,
    Column("catalog_id", BigInteger, primary_key=True, autoincrement=False),
    Column("job_id", String(32), primary_key=True),
    Column("kind", Text, nullable=False),
    Column("state", Text, nullable=False, comment="QUEUED, RUNNING, COMPLETED, FAILED, CANCELLED"),
    Column("arguments", Text, nullable=False, comment="JSON"),
    Column("total", Integer, nullable=False),
    Column("done", Integer, nullable=False),
    Column("failed", Integer, nullable=False),
    Column("counts", Text, nullable=False, comment="what came of it, JSON"),
    Column("message", Text, nullable=False),
    Column("problems", Text, nullable=False, comment="the first files that failed, with reasons, JSON"),
    Column("principal", Text, nullable=False),
    Column("on_behalf_of", Text, nullable=False),
    Column("cancel_requested", Boolean, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("started_at", BigInteger),
    Column("ended_at", BigInteger),
)
# One job of a kind at a time in a catalog.
Index(
    "jobs_one_active",
    jobs.c.catalog_id,
    jobs.c.kind,
    unique=True,
    sqlite_where=text("ended_at IS NULL"),
    postgresql_where=text("ended_at IS NULL"),
)
Index("jobs_id", jobs.c.job_id, unique=True)

writers = Table(
    "writers",
    metadata,
    Column("writer_id", String(32), primary_key=True),
    Column("host", Text, nullable=False),
    Column("pid", Integer, nullable=False),
    Column("started_at", BigInteger, nullable=False),
    Column("heartbeat_at", BigInteger, nullable=False),
)

hosts = Table(
    "hosts",
    metadata,
    Column("host_id", String(32), primary_key=True, comment="as in its data folder"),
    Column("name", Text, nullable=False),
    Column("version", Text, nullable=False),
    Column("started_at", BigInteger, nullable=False),
    Column("heartbeat_at", BigInteger, nullable=False),
)

unreached = Table(
    "unreached",
    metadata,
    Column("catalog_id", BigInteger, primary_key=True, autoincrement=False),
    Column("root_id", String(32), primary_key=True),
    Column(
        "host_id", String(32), primary_key=True, comment="has tried, in vain; without a row it is taken to reach it"
    ),
)

late_writers = Table(
    "late_writers",
    metadata,
    Column("intent_id", String(32), primary_key=True),
    Column("writer_id", String(32), primary_key=True, comment="its lease ended while it had this in hand"),
)

job_claims = Table(
    "job_claims",
    metadata,
    Column("catalog_id", BigInteger, primary_key=True, autoincrement=False),
    Column("job_id", String(32), primary_key=True),
    Column("host_id", String(32), nullable=False, comment="carries it out"),
)

tokens = Table(
    "tokens",
    metadata,
    Column("token_id", String(32), primary_key=True),
    Column("digest", LargeBinary, nullable=False, unique=True, comment="SHA-256: a token is 256 random bits"),
    Column("name", Text, nullable=False),
    Column("role", Text, nullable=False, comment="viewer, editor, operator, admin"),
    Column("catalogs", Text, nullable=False, comment="ids it is limited to, JSON; null: all"),
    Column("created_at", BigInteger, nullable=False),
    Column("expires_at", BigInteger),
    Column("revoked_at", BigInteger),
)
