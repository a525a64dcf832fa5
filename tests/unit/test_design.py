"""The design document says what is true."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from indelible_server.files import capabilities
from indelible_server.storage.diagram import with_diagram

ROOT = Path(__file__).parents[2]
DESIGN = ROOT / "server" / "DESIGN.md"


def test_the_table_diagram_is_that_of_the_tables() -> None:
    text = DESIGN.read_text(encoding="utf-8")

    assert with_diagram(text) == text, "run make docs"


def test_the_page_of_formats_is_what_the_code_does(tmp_path: Path) -> None:
    capabilities.main(str(tmp_path / "FORMATS.md"))

    assert (ROOT / "server" / "FORMATS.md").read_text() == (tmp_path / "FORMATS.md").read_text(), "run make docs"


@pytest.mark.parametrize("number", range(1, 11))
def test_each_invariant_is_listed_with_the_tests_that_hold_it(number: int) -> None:
    """A path that it names exists; an invariant without one says which later part brings its test."""
    row = re.search(rf"^\| I{number} \|.*$", DESIGN.read_text(encoding="utf-8"), re.MULTILINE)
    assert row is not None

    paths = [path for path in re.findall(r"`(tests/[^`]+)`", row[0]) if not (ROOT / path).exists()]

    assert not paths
    assert "`" in row[0] or "*later" in row[0]


def test_every_suppressed_warning_says_why_on_its_line() -> None:
    """`noqa` and `type: ignore` name their rule and are followed by a reason."""
    bare = []
    for path in [*ROOT.glob("server/**/*.py"), *ROOT.glob("client/**/*.py"), ROOT / "protos" / "generate.py"]:
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
            found = re.search(r"# (?:noqa|type: ignore)(.*)", line)
            if found and not re.match(r"(?:: [A-Z0-9, ]+|\[[a-z,-]+\])\s+(?:# |- )?\w.*", found[1]):
                bare.append(f"{path.relative_to(ROOT)}:{number}: {line.strip()}")

    assert not bare
