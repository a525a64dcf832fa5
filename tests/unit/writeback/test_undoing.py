"""Planning an undo: to the byte or by field, and what is not touched at all. Real files, no store."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from indelible_server.domain.undo import PassedOver, Wanted
from indelible_server.files.apply import apply
from indelible_server.files.plan import FilePlan, Mode, Plan
from indelible_server.files.policy import FormatRule, HomeChoice, Policy
from indelible_server.files.port import Root
from indelible_server.files.problems import FileProblem, Reason
from indelible_server.storage import catalogs
from indelible_server.storage.catalogs import Catalog
from indelible_server.storage.jobs import Job
from indelible_server.storage.leases import Claim
from indelible_server.storage.writes import Write
from indelible_server.writeback.planned import Planned
from indelible_server.writeback.undoing import plan_undo
from support.samples import ROOT_ID, make_item
from unit.files.library import Library, jpeg

CATALOG = Catalog(1, "Archive", roots=(catalogs.Root(ROOT_ID, 1, b"/nowhere", read_only=False),))
ITEM = make_item(CATALOG, item_id=1)
CLAIM = Claim("token", ITEM, None, "job")
JOB = Job(1, "job", "UNDO", "ann", arguments={"asked_at": 5})


@pytest.fixture
def library(tmp_path: Path) -> Iterator[Library]:
    """A file whose title was "old" and then written as "new"."""
    with Root(str(tmp_path)) as root:
        made = Library(tmp_path, root)
        made.write(made.add("a.jpg", jpeg()), {"title": "old"})
        yield made


def wanted(plan: Plan, *, is_last: bool = True) -> Wanted:
    """The undo of a plan that was carried out."""
    write = Write(1, "w1", 1, None, "VERIFIED", 9, 1, "PATCH", {"title": ["old", "new"]}, None, "", "", undoable=True)
    return Wanted(JOB, write, [file.to_bytes() for file in plan.files], is_last)


def planned(library: Library, what: Wanted | None, claim: Claim = CLAIM, policy: Policy | None = None) -> Planned:
    made = plan_undo(library.root, claim, what, policy or library.policy)
    assert isinstance(made, Planned)
    return made


def carry_out(library: Library, made: Planned) -> None:
    for file in made.plan.files:
        apply(library.root, FilePlan.from_bytes(file.to_bytes()), still_ours=lambda: True)


def test_a_file_that_is_as_our_write_left_it_gets_its_very_bytes_back(library: Library) -> None:
    before = library.bytes_of(b"a.jpg")
    made = planned(library, wanted(library.write(b"a.jpg", {"title": "new"})))
    assert [file.mode for file in made.plan.files] == [Mode.PATCH]
    assert made.changes == {"title": ["new", "old"]}
    carry_out(library, made)
    assert library.bytes_of(b"a.jpg") == before
    assert made.verified(made.read_back(library.root, library.policy), 9).said == {"title": "old"}


def test_what_was_not_given_back_does_not_pass_for_it(library: Library) -> None:
    """I3: the bytes are read back and compared."""
    made = planned(library, wanted(library.write(b"a.jpg", {"title": "new"})))
    with pytest.raises(FileProblem) as caught:
        made.read_back(library.root, library.policy)
    assert caught.value.reason is Reason.VERIFY_FAILED


def test_where_a_later_write_is_in_effect_fields_are_given_back_and_not_bytes(library: Library) -> None:
    """What it has written elsewhere in the same block would be mixed with what was there before."""
    first = library.write(b"a.jpg", {"title": "new"})
    library.write(b"a.jpg", {"rating": 3})
    made = planned(library, wanted(first, is_last=False))
    carry_out(library, made)
    assert made.read_back(library.root, library.policy).tags == {"title": "old", "rating": 3}


def test_an_undo_that_outlived_its_writer_is_known_by_its_intents(library: Library) -> None:
    for is_last in (True, False):
        made = planned(library, wanted(library.write(b"a.jpg", {"title": "new"}), is_last=is_last))
        stored = Planned.of_stored(CLAIM, made.intents)
        assert (stored.undoing, stored.changes) == (made.undoing, made.changes)
        assert stored.plan.files == made.plan.files
        carry_out(library, stored)
        assert stored.read_back(library.root, library.policy).tags == {"title": "old"}


def test_nothing_is_touched_where_there_is_nothing_to_undo_or_its_bytes_are_gone(library: Library) -> None:
    expired = replace(wanted(library.write(b"a.jpg", {"title": "new"})), plans=[])
    assert plan_undo(library.root, CLAIM, None, library.policy) == PassedOver(CLAIM)
    assert plan_undo(library.root, CLAIM, expired, library.policy) == PassedOver(CLAIM, "expired_items")


def test_a_held_item_is_not_touched(library: Library) -> None:
    what = wanted(library.write(b"a.jpg", {"title": "new"}))
    held = replace(CLAIM, item=replace(ITEM, hold={"reason": "CHECKED_OUT"}))
    with pytest.raises(FileProblem, match="release it") as caught:
        planned(library, what, held)
    assert not caught.value.transient


def test_what_the_policy_keeps_out_of_files_by_now_is_not_called_restored(library: Library) -> None:
    what = wanted(library.write(b"a.jpg", {"title": "new"}), is_last=False)
    policy = Policy(formats=(FormatRule(("*",), HomeChoice.CATALOG_ONLY),))
    with pytest.raises(FileProblem) as caught:
        planned(library, what, policy=policy)
    assert caught.value.reason is Reason.UNSUPPORTED
