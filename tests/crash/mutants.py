"""Planted faults: each breaks an invariant, and the test that holds the invariant must notice.

    make mutants [ARGS=I2]

A fault is a small change of the text of one file, in a copy of the tree. The named test is run there: it must turn red.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
_PARTS = ("server", "client", "protos", "tests", "pyproject.toml")
_SERVER = "server/indelible_server/"


@dataclass(frozen=True)
class Mutant:
    """A fault in a file, and the test that turns red: pytest's arguments, or `lint-imports`."""

    invariant: str
    what: str
    file: str
    old: str
    new: str
    test: str

    @property
    def path(self) -> Path:
        """The file, below the root of a tree."""
        return Path(_SERVER + self.file)


MUTANTS = (
    Mutant(
        "I1",
        "SQLite does not sync each commit",
        "storage/database.py",
        "synchronous=FULL",
        "synchronous=NORMAL",
        "tests/contract/test_durability.py::test_sqlite_syncs_every_commit",
    ),
    Mutant(
        "I1",
        "PostgreSQL does not sync each commit",
        "storage/database.py",
        "-c synchronous_commit=on",
        "-c synchronous_commit=off",
        "tests/contract/test_durability.py::test_postgresql_syncs_every_commit",
    ),
    Mutant(
        "I1",
        "a database that never syncs is taken",
        "storage/database.py",
        'if fsync != "on":',
        'if fsync == "?":',
        "tests/contract/test_durability.py::test_a_postgresql_with_fsync_off_is_refused",
    ),
    Mutant(
        "I1",
        "what we wrote is taken for an edit of those who wrote after us",
        "writeback/planned.py",
        "base = base_after(homes.get(home, {}), wanted, written, found.get(home, {}))",
        "base = homes.get(home, {})",
        "tests/contract/test_writes_of_others.py -k unacknowledged",
    ),
    Mutant(
        "I2",
        "a new file is not synced before it gets its name",
        "files/apply.py",
        "    temp.sync()\n    applied",
        "    applied",
        "tests/crash/test_crash_states.py -k durable",
    ),
    Mutant(
        "I2",
        "the folder is not synced",
        "files/apply.py",
        "    folder.sync()\n\n\ndef _take_place",
        "\n\ndef _take_place",
        "tests/crash/test_crash_states.py::test_i2_what_was_applied_is_durable",
    ),
    Mutant(
        "I2",
        "what points at a tail may be on the disk before the tail",
        "files/settle.py",
        "        media.write(plan.old_size, plan.tail)\n        media.sync()",
        "        media.write(plan.old_size, plan.tail)",
        "tests/unit/files/test_undoing.py::test_an_appended_change_writes_what_is_pointed_at_before_the_pointer",
    ),
    Mutant(
        "I2",
        "a torn patch is taken for someone else's",
        "files/settle.py",
        "if not plan.in_place or not _is_torn(media, plan):",
        "if True:",
        "tests/crash/test_crash_states.py -k settled_whole",
    ),
    Mutant(
        "I2",
        "a patch that reads as complete is not written again",
        "files/settle.py",
        "if plan.rebuilds and media.size == plan.new_size",
        "if media.size == plan.new_size",
        "tests/crash/test_crash_states.py -k failed_fsync",
    ),
    Mutant(
        "I3",
        "what was read back is not compared",
        "files/reading.py",
        "        if wrong:",
        "        if wrong and False:",
        "tests/unit/files/test_writing.py::test_what_was_written_is_read_back_and_compared",
    ),
    Mutant(
        "I3",
        "a failed fsync is passed over",
        "files/media.py",
        '        with self._trying("fsync"):\n            os.fsync',
        "        with contextlib.suppress(OSError):\n            os.fsync",
        "tests/crash/test_failed_fsync.py",
    ),
    Mutant(
        "I3",
        "an edit that came during the write counts as written",
        "domain/item_state.py",
        "if next_edit is None:",
        "if True:",
        "tests/contract/test_outcomes.py::test_an_edit_during_the_write_stays_unsynced_since_that_edit",
    ),
    Mutant(
        "I4",
        "a file is not read again before it is patched",
        "files/apply.py",
        "        _check(media, plan)\n        write_in_place",
        "        write_in_place",
        "tests/unit/files/test_writing.py::test_what_someone_else_wrote_is_left_alone",
    ),
    Mutant(
        "I4",
        "nobody looks who waits for our lease",
        "files/media.py",
        "return self._lease is not None and",
        "return self._lease is None and",
        "tests/crash/test_races.py -k races_is_lost",
    ),
    Mutant(
        "I4",
        "nobody looks what was replaced",
        "files/apply.py",
        "folder.identity(plan.temp) == plan.identity\n",
        "True\n",
        "tests/crash/test_races.py::test_i4_of_several_that_replace_the_file_in_the_last_gap_the_last_wins",
    ),
    Mutant(
        "I4",
        "settlement throws away what has the temp name",
        "files/settle.py",
        "if plan.identity is None or (outcome is not Outcome.NEW and temp.inode != plan.identity.inode):",
        "if True:",
        "tests/crash/test_races.py -k gives_a_foreign_file_back",
    ),
    Mutant(
        "I5",
        "what is reported without a lease counts",
        "domain/outcomes.py",
        "[outcome for outcome in outcomes if outcome.claim.token in valid]",
        "list(outcomes)",
        "tests/contract/test_outcomes.py::test_without_a_valid_lease_nothing_is_acknowledged_and_the_intent_stays",
    ),
    Mutant(
        "I5",
        "a lease never ends",
        "storage/leases.py",
        "        leases.c.deadline > now_ms(tx),\n    )\n    return set",
        "    )\n    return set",
        "tests/contract/test_leases.py::test_an_expired_lease_is_not_valid_and_can_be_dropped",
    ),
    Mutant(
        "I5",
        "a file is written without a lease",
        "files/apply.py",
        "    if not still_ours():",
        "    if not still_ours() and False:",
        "tests/unit/files/test_writing.py::test_nothing_is_written_without_a_lease",
    ),
    Mutant(
        "I5",
        "an item goes while its intent lives",
        "storage/items.py",
        "for table in (leases, intents):",
        "for table in (leases,):",
        "tests/contract/test_intents.py::test_an_item_is_not_removed_while_its_intent_lives",
    ),
    Mutant(
        "I6",
        "a failed write counts as what the file holds",
        "domain/outcomes.py",
        "after = item_state.failed(before, result.reason",
        "before = replace(before, homes={home: before.tags for home in before.homes})\n"
        "        after = item_state.failed(before, result.reason",
        "tests/contract/test_rescan.py::test_i6_a_failed_write_never_lets_a_rescan_replace_the_catalogs_tags",
    ),
    Mutant(
        "I6",
        "a rescan believes the file",
        "domain/rescan.py",
        "merged = merge_found(base, item.tags, reading.homes",
        "merged = merge_found(base, reading.tags, reading.homes",
        "tests/contract/test_rescan.py::test_i6_a_failed_write_never_lets_a_rescan_replace_the_catalogs_tags",
    ),
    Mutant(
        "I1",
        "an old copy that a program saves again is taken for an edit",
        "domain/old_copies.py",
        "return ours is not None and (theirs is None or is_before(theirs, ours))",
        "return False",
        "tests/contract/test_old_copies.py::test_an_old_copy_that_a_program_saves_does_not_bring_back_what_we_replaced",
    ),
    Mutant(
        "I7",
        "the file port can reach the database",
        "files/port.py",
        "import contextlib\n",
        "import contextlib\n\nimport sqlalchemy\n",
        "lint-imports",
    ),
    Mutant(
        "I7",
        "the plan of a file can reach the store",
        "files/planning.py",
        "from .policy import",
        "from ..storage import database\nfrom .policy import",
        "lint-imports",
    ),
    Mutant(
        "I8",
        "links to files are followed",
        "files/port.py",
        "_FILE = os.O_CLOEXEC | os.O_NOFOLLOW |",
        "_FILE = os.O_CLOEXEC |",
        "tests/unit/files/test_port.py::test_links_are_never_followed",
    ),
    Mutant(
        "I8",
        "links to folders are followed",
        "files/port.py",
        "_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC | os.O_NOFOLLOW",
        "_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC",
        "tests/unit/files/test_port.py::test_links_are_never_followed",
    ),
    Mutant(
        "I8",
        "a path may lead out of its root",
        "files/port.py",
        'any(part in (b"", b".", b"..")',
        'any(part in (b"", b".")',
        "tests/unit/files/test_port.py::test_paths_that_could_lead_elsewhere_are_refused",
    ),
    Mutant(
        "I9",
        "a field is written that the file holds already",
        "files/planning.py",
        "changed = self._changed(found.embedded_tags, wanted)\n",
        "changed = frozenset(wanted)\n",
        "tests/unit/files/test_jpeg.py::test_nothing_is_written_when_nothing_has_changed",
    ),
    Mutant(
        "I9",
        "an edit that leaves nothing to write is written",
        "domain/item_state.py",
        "    if not to_write:\n",
        "    if not to_write and False:\n",
        "tests/unit/domain/test_item_state.py",
    ),
    Mutant(
        "I10",
        "what others wrote since is undone too",
        "files/undoing.py",
        "if identity.size != done.new_size or not media.holds(done.new_ranges):\n            raise",
        "if False:\n            raise",
        "tests/unit/files/test_undoing.py::test_what_others_wrote_since_is_not_undone",
    ),
    Mutant(
        "I10",
        "an undo forgets that earlier patches have moved the later ones",
        "files/undoing.py",
        "Patch(patch.offset + grown, patch.new, patch.old)",
        "Patch(patch.offset, patch.new, patch.old)",
        "tests/unit/files/test_undoing.py",
    ),
)


def _is_noticed(mutant: Mutant, tree: Path) -> bool:
    """Whether the test is red with the fault."""
    path = tree / mutant.path
    text = path.read_text()
    assert text.count(mutant.old) == 1, f"{mutant.what}: no longer to be planted in {mutant.file}"
    path.write_text(text.replace(mutant.old, mutant.new))
    try:
        return not _is_green(mutant.test, tree)
    finally:
        path.write_text(text)


def _is_green(test: str, tree: Path) -> bool:
    python = os.pathsep.join(str(tree / part) for part in ("server", "client", "protos", "tests"))
    if test == "lint-imports":
        command = [str(Path(sys.executable).with_name("lint-imports")), "--no-cache"]
    else:
        command = [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", *test.split()]
    environment = os.environ | {"PYTHONPATH": python, "PYTHONDONTWRITEBYTECODE": "1"}
    ended = subprocess.run(command, cwd=tree, env=environment, capture_output=True, text=True, check=False)
    if ended.returncode not in (0, 1):
        raise SystemExit(f"{test} could not be run:\n{ended.stdout}{ended.stderr}")
    return ended.returncode == 0


def main(wanted: Sequence[str]) -> None:
    """Plant the faults (of these invariants, or all), print the table, and fail if one was not noticed."""
    missed = 0
    chosen = [mutant for mutant in MUTANTS if not wanted or mutant.invariant in wanted]
    with tempfile.TemporaryDirectory(prefix="indelible-mutants-") as folder:
        tree = Path(folder)
        for part in _PARTS:
            copy = shutil.copytree if (ROOT / part).is_dir() else shutil.copy
            copy(ROOT / part, tree / part)
        for test in dict.fromkeys(mutant.test for mutant in chosen):
            if not _is_green(test, tree):
                raise SystemExit(f"red without any fault: {test}")
        for mutant in chosen:
            began = time.monotonic()
            noticed = _is_noticed(mutant, tree)
            missed += not noticed
            seconds = f"{time.monotonic() - began:5.1f} s"
            print(f"{mutant.invariant:4} {'red' if noticed else 'NOT NOTICED':4} {seconds}  {mutant.what}", flush=True)
            print(f"{'':18}{mutant.test}", flush=True)
    print(f"{len(chosen)} faults, {missed} not noticed.")
    sys.exit(1 if missed else 0)


if __name__ == "__main__":
    main(sys.argv[1:])
