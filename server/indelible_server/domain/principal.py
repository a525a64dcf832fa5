"""Who is calling, and what that role may do."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

from ..errors import PermissionDenied


class Role(IntEnum):
    """Each role may do what those below it may."""

    VIEWER = 1
    EDITOR = 2
    OPERATOR = 3
    ADMIN = 4


@dataclass(frozen=True)
class Principal:
    """An authenticated caller. `catalogs` None: every catalog."""

    name: str
    role: Role
    catalogs: frozenset[int] | None = None
    on_behalf_of: str = ""

    def may_see(self, catalog_id: int) -> bool:
        """Whether the catalog exists for this caller."""
        return self.catalogs is None or catalog_id in self.catalogs

    def require(self, role: Role) -> None:
        """Raise `PermissionDenied` unless the caller has at least this role."""
        if self.role < role:
            raise PermissionDenied(
                "PERMISSION_DENIED",
                f"This needs the role {role.name.lower()}; the token {self.name!r} is {self.role.name.lower()}.",
                required_role=role.name.lower(),
            )
