"""The wheel that people install, and the pins and reasons of what it needs."""

from __future__ import annotations

import re
import shutil
import sys
import tomllib
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from support.programs import Finished, finished, made_once

REPOSITORY = Path(__file__).parents[2]
PACKAGES = {"indelible", "indelible_client", "indelible_server"}
SERVER_ONLY = ["sqlalchemy", "alembic", "lxml", "pyexiv2", "structlog", "psycopg", "PIL"]
INSTALL_PATIENCE_S = 300

# The fixtures build, download and install; how long that takes on a busy machine is not what is tested.
pytestmark = pytest.mark.timeout(3 * INSTALL_PATIENCE_S)

LOCK_FILES = re.compile(
    r"\.lock$|(^|[-.])lock\.(json|yaml|yml|toml|hcl)$|^npm-shrinkwrap\.json$|^bun\.lockb$|^go\.sum$"
)
PIN = re.compile(r"(?P<name>[A-Za-z0-9._-]+)==(?P<version>[^\s;]+)(?P<marker> ; [^\\]+?)?(?P<hashes>( --hash=\S+)*)")
HASH = re.compile(r"--hash=sha256:[0-9a-f]{64}")
ADDRESS = re.compile(r"://|\bindex-url\b|\bfind-links\b|\btrusted-host\b|^-|@", re.MULTILINE)


@dataclass(frozen=True)
class Pin:
    """One line of requirements.lock, its continuations joined."""

    name: str
    version: str
    marker: str
    hashes: tuple[str, ...]


class BareInstall:
    """A virtual environment that holds the wheel and what the thin client needs, and nothing else."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._bin = folder / "venv" / "bin"

    def program(self, name: str, *arguments: str) -> Finished:
        """A program of the environment, outside of the repository."""
        return finished([self._bin / name, *arguments], self._folder)

    def pip(self, *arguments: str) -> Finished:
        """Our pip at work on the environment, which has none of its own."""
        command = [sys.executable, "-m", "pip", "--python", self._bin / "python", *arguments]
        return finished(command, self._folder, INSTALL_PATIENCE_S)

    def python(self, code: str) -> Finished:
        """Code in the environment's Python, which sees neither the folder nor our variables."""
        return self.program("python", "-I", "-c", code)


def lock_pins() -> list[Pin]:
    """The pins of requirements.lock; a line of another kind fails."""
    joined = (REPOSITORY / "requirements.lock").read_text().replace("\\\n", " ")
    pins = []
    for line in filter(None, (re.sub(r"\s+", " ", line).strip() for line in joined.splitlines())):
        match = PIN.fullmatch(line)
        assert match is not None, f"not a pin: {line[:100]}"
        hashes = tuple((match["hashes"] or "").split())
        pins.append(Pin(canonicalize_name(match["name"]), match["version"], (match["marker"] or "").strip(), hashes))
    return pins


def project() -> Any:
    """The table [project] of pyproject.toml."""
    return tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]


def dependencies() -> list[str]:
    """Every requirement in pyproject.toml on something that is not this project itself."""
    listed = [
        *project()["dependencies"],
        *(line for extra in project()["optional-dependencies"].values() for line in extra),
    ]
    return [line for line in listed if Requirement(line).name != "indelible"]


def shared_folder(tmp_path_factory: pytest.TempPathFactory, name: str) -> Path:
    """A folder of this run of pytest, the same for all of its workers."""
    base = tmp_path_factory.getbasetemp()
    return (base.parent if base.name.startswith("popen-") else base) / name


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, built from the working tree."""
    folder = shared_folder(tmp_path_factory, "wheel")

    def build() -> None:
        command = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", folder, REPOSITORY]
        answer = finished(command, folder, INSTALL_PATIENCE_S)
        assert answer.returncode == 0, answer.stdout + answer.stderr

    (built,) = made_once(folder, build).glob("*.whl")
    return built


@pytest.fixture(scope="module")
def bare_install(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> BareInstall:
    """The wheel installed without extras, everything it needs at the version of requirements.lock."""
    folder = shared_folder(tmp_path_factory, "bare")
    install = BareInstall(folder)

    def make() -> None:
        constraints = folder / "constraints.txt"
        # Without the hashes: pip would then want one for the wheel itself too.
        constraints.write_text("".join(f"{pin.name}=={pin.version} {pin.marker}\n" for pin in lock_pins()))
        shutil.rmtree(folder / "venv", ignore_errors=True)
        made = finished([sys.executable, "-m", "venv", "--without-pip", folder / "venv"], folder)
        assert made.returncode == 0, made.stdout + made.stderr
        answer = install.pip("install", "--quiet", "--no-compile", "--constraint", str(constraints), str(wheel))
        assert answer.returncode == 0, answer.stdout + answer.stderr

    made_once(folder, make)
    return install


def test_the_wheel_holds_the_three_packages_and_nothing_else(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()

    tops = {name.split("/")[0] for name in names}
    assert {top for top in tops if not top.endswith(".dist-info")} == PACKAGES
    assert len(tops) == len(PACKAGES) + 1
    assert not [name for name in names if "__pycache__" in name or name.endswith(".pyc")]


def test_the_wheel_holds_types_protos_and_migrations(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())

    assert {f"{package}/py.typed" for package in PACKAGES} <= names
    assert {"indelible/v1/item_service.proto", "indelible/v1/item_service_pb2.pyi"} <= names
    sources = (REPOSITORY / "server/indelible_server/storage/migrations").rglob("*.py")
    migrations = {source.relative_to(REPOSITORY / "server").as_posix() for source in sources}
    assert migrations
    assert migrations <= names


@pytest.mark.parametrize("module", ["indelible_client", "indelible.v1.item_service_pb2_grpc"])
def test_a_bare_install_has_the_client_and_the_contract(bare_install: BareInstall, module: str) -> None:
    answer = bare_install.python(f"import {module}; print({module}.__file__)")

    assert answer.returncode == 0, answer.stderr
    assert "/venv/" in answer.stdout


def test_a_bare_install_has_the_command_line(bare_install: BareInstall) -> None:
    answer = bare_install.program("indelible", "--help")

    assert answer.returncode == 0, answer.stderr
    assert "Usage" in answer.stdout


@pytest.mark.parametrize("module", SERVER_ONLY)
def test_a_bare_install_has_nothing_that_only_the_server_needs(bare_install: BareInstall, module: str) -> None:
    answer = bare_install.python(f"import {module}")

    assert answer.returncode == 1
    assert f"ModuleNotFoundError: No module named '{module}'" in answer.stderr


def test_a_bare_install_cannot_open_the_store(bare_install: BareInstall) -> None:
    answer = bare_install.python("import indelible_server.storage.tables")

    assert answer.returncode == 1
    assert "ModuleNotFoundError: No module named 'sqlalchemy'" in answer.stderr


def test_a_bare_install_is_complete_and_at_the_pinned_versions(bare_install: BareInstall) -> None:
    checked = bare_install.pip("check")
    listed = bare_install.pip("list", "--format=freeze")
    versions = dict(line.split("==") for line in listed.stdout.split())
    found = {canonicalize_name(name): version for name, version in versions.items()}

    assert checked.returncode == 0, checked.stdout
    assert found.pop("indelible") == project()["version"]
    assert {canonicalize_name(Requirement(line).name) for line in project()["dependencies"]} <= set(found)
    pinned = {pin.name: pin.version for pin in lock_pins()}
    assert found == {name: pinned.get(name) for name in found}


def test_every_pin_has_a_hash() -> None:
    for pin in lock_pins():
        assert pin.hashes, f"{pin.name} has no hash"
        assert all(HASH.fullmatch(value) for value in pin.hashes), f"{pin.name} has a hash that is not SHA-256"


def test_the_pins_name_no_host() -> None:
    assert ADDRESS.search((REPOSITORY / "requirements.lock").read_text()) is None


def test_every_dependency_is_pinned_within_its_range() -> None:
    pins = {pin.name: pin.version for pin in lock_pins()}

    for requirement in map(Requirement, dependencies()):
        version = pins.get(canonicalize_name(requirement.name))
        assert version is not None, f"{requirement} is not pinned: run `make lock`"
        assert requirement.specifier.contains(version), f"{requirement} is pinned to {version}: run `make lock`"


def test_every_dependency_has_its_reason_on_its_line() -> None:
    lines = (REPOSITORY / "pyproject.toml").read_text().splitlines()

    for dependency in dependencies():
        places = [line.strip() for line in lines if line.strip().startswith(f'"{dependency}"')]
        assert places, f"{dependency} does not stand on a line of its own"
        for place in places:
            assert re.fullmatch(r'"[^"]+",\s+# \S.*', place), f"no reason: {place}"


@pytest.mark.tool("git")
def test_no_tracked_lock_file_records_addresses() -> None:
    command = ["git", "-c", f"safe.directory={REPOSITORY}", "ls-files", "-z"]
    listing = finished(command, REPOSITORY)
    assert listing.returncode == 0, listing.stderr
    tracked = [REPOSITORY / name for name in listing.stdout.split("\0") if name]
    locks = [path for path in tracked if LOCK_FILES.search(path.name) and path.exists()]

    assert REPOSITORY / "requirements.lock" in locks
    for path in locks:
        text = path.read_text(errors="replace")
        assert "://" not in text, f"{path} records addresses"
        assert '"resolved"' not in text, f"{path} records addresses"
