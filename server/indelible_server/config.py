"""Settings: flags first, then `INDELIBLE_*` variables, then a TOML file, then the defaults."""

from __future__ import annotations

import os
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from typing import Any

PREFIX = "INDELIBLE_"
CONFIG_FILE = "indelible.toml"
DATABASES = ("sqlite", "postgresql")


class WrongSetting(Exception):
    """A setting that can't be; the message says which, where, and what is right."""


def default_data_dir() -> str:
    """The user's data folder, where the client finds the token."""
    home = os.environ.get("XDG_DATA_HOME") or os.path.join(os.path.expanduser("~"), ".local", "share")
    return os.path.join(home, "indelible")


@dataclass(frozen=True)
class Settings:
    """How a server or a writer host runs."""

    data: str = field(default_factory=default_data_dir)
    database: str = ""
    listen: str = "127.0.0.1:7447"
    writers: int = field(default_factory=lambda: os.cpu_count() or 1)
    tls_cert: str = ""
    tls_key: str = ""
    tls_client_ca: str = ""
    insecure: bool = False
    log_format: str = "text"
    root: tuple[str, ...] = ()

    @property
    def database_url(self) -> str:
        """The database; SQLite in the data folder if none is given."""
        return self.database or f"sqlite:///{os.path.join(self.data, 'indelible.sqlite')}"

    @property
    def local_roots(self) -> dict[str, bytes]:
        """Where roots are on this host, by their ids; only those that are not where they were approved."""
        return {root_id: os.fsencode(path) for root_id, _, path in (entry.partition("=") for entry in self.root)}

    def as_environment(self) -> dict[str, str]:
        """The settings for a child process. Not on its command line: a database address may hold a password."""
        values = {entry.name: getattr(self, entry.name) for entry in fields(self)}
        values |= {"database": self.database_url, "root": "\n".join(self.root)}
        return dict(os.environ) | {PREFIX + name.upper(): str(value) for name, value in values.items()}


def load_settings(flags: Mapping[str, Any], environ: Mapping[str, str], config: str | None = None) -> Settings:
    """The settings of this process. `flags` that are None were not given. Raises `WrongSetting`."""
    settings = Settings()
    data = flags.get("data") or environ.get(PREFIX + "DATA") or settings.data
    named = config or environ.get(PREFIX + "CONFIG")
    path = named or os.path.join(data, CONFIG_FILE)
    for where, values in (
        (path, _from_file(path, required=named is not None)),
        ("the environment", _from_environment(environ)),
        ("the command line", {name: value for name, value in flags.items() if value is not None}),
    ):
        settings = _with(settings, values, where)
    return replace(settings, data=os.path.abspath(settings.data))


def _from_file(path: str, required: bool) -> dict[str, Any]:
    try:
        with open(path, "rb") as file:
            return tomllib.load(file)
    except FileNotFoundError:
        if required:
            raise WrongSetting(f"there is no settings file {path}") from None
        return {}
    except (OSError, tomllib.TOMLDecodeError) as error:
        raise WrongSetting(f"{path}: {error}") from error


def _from_environment(environ: Mapping[str, str]) -> dict[str, Any]:
    names = {PREFIX + entry.name.upper(): entry.name for entry in fields(Settings)}
    found: dict[str, Any] = {names[key]: value for key, value in environ.items() if key in names and value}
    if "root" in found:
        found["root"] = found["root"].splitlines()
    return found


def _with(settings: Settings, values: Mapping[str, Any], where: str) -> Settings:
    known = {entry.name: type(getattr(settings, entry.name)) for entry in fields(Settings)}
    checked = {}
    for name, value in values.items():
        if name not in known:
            raise WrongSetting(f"{where}: there is no setting {name!r}; there are {', '.join(sorted(known))}")
        checked[name] = _typed(known[name], value, f"{where}: {name}")
    if checked.get("writers", 1) < 0:
        raise WrongSetting(f"{where}: writers is negative")
    if checked.get("log_format", "text") not in ("text", "json"):
        raise WrongSetting(f"{where}: log_format is text or json")
    kind, is_address, _ = checked.get("database", "").partition("://")
    if kind and not (is_address and kind.split("+")[0] in DATABASES):
        raise WrongSetting(f"{where}: database is an address, postgresql://… or sqlite:///…")
    return replace(settings, **checked)


def _typed(kind: type, value: Any, at: str) -> Any:
    try:
        if kind is bool:
            words = {"1": True, "true": True, "yes": True, "0": False, "false": False, "no": False}
            return value if isinstance(value, bool) else words[str(value).lower()]
        if kind is tuple:
            if any("=" not in entry for entry in value):
                raise ValueError("a root is ID=PATH")
            return tuple(value)
        if isinstance(value, bool) or not isinstance(value, kind | str):
            raise TypeError(f"not {kind.__name__}")
        return kind(value)
    except (KeyError, TypeError, ValueError) as error:
        raise WrongSetting(f"{at}: {value!r} is not right ({error})") from error
