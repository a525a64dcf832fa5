"""Generate the Python code of the contract, beside the .proto files.

    python protos/generate.py            write it, and remove what has no .proto any more
    python protos/generate.py --check    write nothing; fail when the committed code differs

The generator lives in a virtual environment of its own (`.venv/generator`), because its version is the oldest
protobuf and grpcio that clients can use, while the server runs on the newest.
"""

from __future__ import annotations

import argparse
import difflib
import itertools
import subprocess
import sys
import tempfile
import venv
from pathlib import Path

PROTOS = Path(__file__).resolve().parent
REQUIREMENTS = PROTOS / "gen-requirements.txt"
GENERATOR = PROTOS.parent / ".venv" / "generator"
DIFF_LINES = 20  # of each file: enough to see what it is about


def main() -> None:
    parser = argparse.ArgumentParser(description="Generate the Python code of the contract.")
    parser.add_argument("--check", action="store_true", help="write nothing; fail when the code differs")
    check = parser.parse_args().check
    committed, generated = read_generated(PROTOS), generate()
    if not check:
        write(committed, generated)
    elif committed != generated:
        sys.exit(f"{describe(committed, generated)}\nThe generated code has drifted: run make protos.")


def generate() -> dict[str, bytes]:
    """Run protoc into a folder that is thrown away; the answer has the content of every file by its name."""
    python = prepare_generator()
    protos = sorted(path.relative_to(PROTOS).as_posix() for path in PROTOS.glob("indelible/**/*.proto"))
    services = [proto for proto in protos if proto.endswith("_service.proto")]
    with tempfile.TemporaryDirectory() as out:
        protoc = [str(python), "-m", "grpc_tools.protoc", f"--proto_path={PROTOS}"]
        plugins = [f"--plugin={python.parent / name}" for name in ("protoc-gen-mypy", "protoc-gen-mypy_grpc")]
        run(
            [
                *protoc,
                *plugins,
                f"--python_out={out}",
                f"--mypy_out=quiet,generate_concrete_servicer_stubs:{out}",
                *protos,
            ]
        )
        run(
            [
                *protoc,
                *plugins,
                f"--grpc_python_out={out}",
                f"--mypy_grpc_out=quiet,generate_concrete_servicer_stubs:{out}",
                *services,
            ]
        )
        return read_generated(Path(out))


def prepare_generator() -> Path:
    """The generator's own Python; its environment is made once, and again when the pins change."""
    python = GENERATOR / "bin" / "python"
    stamp = GENERATOR / ".installed"
    pins = REQUIREMENTS.read_bytes()
    if not (stamp.exists() and stamp.read_bytes() == pins):
        venv.create(GENERATOR, clear=True, with_pip=True)
        run([str(python), "-m", "pip", "install", "--quiet", "--requirement", str(REQUIREMENTS)])
        stamp.write_bytes(pins)
    return python


def run(command: list[str]) -> None:
    if (code := subprocess.run(command, check=False).returncode) != 0:  # noqa: S603  fixed programs, no shell
        sys.exit(code)


def read_generated(folder: Path) -> dict[str, bytes]:
    """The content of every generated file below a folder, by its path relative to it."""
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*_pb2*.py*")}


def write(committed: dict[str, bytes], generated: dict[str, bytes]) -> None:
    """Bring the folder to the generated state; files that are right already keep their times."""
    for name in committed.keys() - generated.keys():
        (PROTOS / name).unlink()
    for name, content in generated.items():
        if committed.get(name) != content:
            (PROTOS / name).write_bytes(content)


def describe(committed: dict[str, bytes], generated: dict[str, bytes]) -> str:
    """What differs: each file's name, and the first lines of a unified diff."""
    lines: list[str] = []
    for name in sorted(committed.keys() | generated.keys()):
        if committed.get(name) == generated.get(name):
            continue
        state = "stale" if name not in generated else "changed" if name in committed else "missing"
        lines.append(f"{name} is {state}")
        before, after = (files.get(name, b"").decode().splitlines() for files in (committed, generated))
        diff = difflib.unified_diff(before, after, f"committed/{name}", f"generated/{name}", lineterm="", n=1)
        lines += itertools.islice(diff, DIFF_LINES)
    return "\n".join(lines)


if __name__ == "__main__":
    main()
