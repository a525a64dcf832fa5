"""CatalogService."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any, TypeVar

from google.protobuf.message import Message
from indelible.v1 import catalog_pb2, catalog_service_pb2, catalog_service_pb2_grpc
from sqlalchemy import Connection

from ..domain import catalogs, conflicts
from ..domain.catalogs import ApprovedRoot
from ..domain.principal import Principal
from ..errors import Aborted, FailedPrecondition, InvalidArgument, NotFound, invalid
from ..files import marker
from ..files.probing import probe
from ..storage.catalogs import DEFAULT_QUIET_MS, Catalog, Root
from . import paging
from .app import App
from .convert import catalog_message
from .convert_limits import stored_budget, stored_schedule
from .convert_policy import custom_field_messages, policy_message, stored_policy
from .wrapper import Context, caller

ROOTS_A_CATALOG = 100

T = TypeVar("T")


class CatalogService(catalog_service_pb2_grpc.CatalogServiceServicer):
    """Catalogs."""

    def __init__(self, app: App) -> None:
        self._app = app

    async def CreateCatalog(
        self, request: catalog_service_pb2.CreateCatalogRequest, context: Context
    ) -> catalog_service_pb2.CreateCatalogResponse:
        return await _create(self._app, request)

    async def GetCatalog(
        self, request: catalog_service_pb2.GetCatalogRequest, context: Context
    ) -> catalog_service_pb2.GetCatalogResponse:
        catalog = await self._app.find_catalog(request.catalog)
        return catalog_service_pb2.GetCatalogResponse(catalog=catalog_message(catalog))

    async def ListCatalogs(
        self, request: catalog_service_pb2.ListCatalogsRequest, context: Context
    ) -> catalog_service_pb2.ListCatalogsResponse:
        return _page(request, await self._app.read(catalogs.visible, caller()))

    async def UpdateCatalog(
        self, request: catalog_service_pb2.UpdateCatalogRequest, context: Context
    ) -> catalog_service_pb2.UpdateCatalogResponse:
        return await _update(self._app, request)

    async def DeleteCatalog(
        self, request: catalog_service_pb2.DeleteCatalogRequest, context: Context
    ) -> catalog_service_pb2.DeleteCatalogResponse:
        return await _delete(self._app, request)


async def _create(
    app: App, request: catalog_service_pb2.CreateCatalogRequest
) -> catalog_service_pb2.CreateCatalogResponse:
    known = await app.answered(request, catalog_service_pb2.CreateCatalogResponse)
    if known is not None:
        return known
    wanted = Catalog(
        catalog_id=0,
        name=request.name,
        description=request.description,
        policy=stored_policy(request.policy, request.custom_fields),
        quiet_ms=_quiet(request),
        schedule=stored_schedule(request.schedule, "schedule"),
        budget=stored_budget(request.budget, "budget"),
    )
    await app.read(catalogs.check_new, wanted)
    approved = await _approve(app, request.roots, "roots")

    def work(tx: Connection, who: Principal) -> catalog_service_pb2.CreateCatalogResponse:
        created = catalogs.create(tx, wanted, approved)
        return catalog_service_pb2.CreateCatalogResponse(catalog=catalog_message(created))

    return await app.mutate(request, catalog_service_pb2.CreateCatalogResponse, work)


async def _update(
    app: App, request: catalog_service_pb2.UpdateCatalogRequest
) -> catalog_service_pb2.UpdateCatalogResponse:
    answered = await app.answered(request, catalog_service_pb2.UpdateCatalogResponse)
    if answered is not None:
        return answered
    present = await app.find_catalog(request.catalog.id or request.catalog.name)
    _masked(present, request)  # what is wrong with it is said before any folder is marked as a root
    known = {root.root_id for root in present.roots}
    in_mask = "roots" in request.update_mask.paths
    added = [root for root in request.catalog.roots if not root.id] if in_mask else []
    kept = {root.id for root in request.catalog.roots if root.id}
    if kept - known:
        unknown = ", ".join(sorted(kept - known))
        raise NotFound("ROOT_NOT_FOUND", f"There is no root {unknown}.", field="catalog.roots", root_id=unknown)
    approved = await _approve(app, added, "catalog.roots")
    removed = sorted(known - kept) if in_mask else []

    def work(tx: Connection, who: Principal) -> catalog_service_pb2.UpdateCatalogResponse:
        catalog = catalogs.find(tx, who, str(present.catalog_id))
        if request.catalog.revision not in (0, catalog.revision):
            raise Aborted(
                "STALE_REVISION",
                "The catalog was changed meanwhile. Read it again.",
                field="catalog.revision",
                revision=str(catalog.revision),
            )
        updated = catalogs.update(tx, catalog, _masked(catalog, request), approved, removed)
        return catalog_service_pb2.UpdateCatalogResponse(catalog=catalog_message(updated))

    answer = await app.mutate(request, catalog_service_pb2.UpdateCatalogResponse, work)
    await app.long(conflicts.follow_policies, app.database)
    return answer


async def _delete(
    app: App, request: catalog_service_pb2.DeleteCatalogRequest
) -> catalog_service_pb2.DeleteCatalogResponse:
    def work(tx: Connection, who: Principal) -> catalog_service_pb2.DeleteCatalogResponse:
        catalog = catalogs.find(tx, who, request.catalog)
        unsynced = catalogs.unsynced(tx, catalog)
        if unsynced and not request.force:
            raise FailedPrecondition(
                "UNSYNCED_ITEMS",
                f"Edits that are not in the files yet would be lost: items not synchronized: {unsynced:,}. "
                "Synchronize them first, or force it.",
                catalog_id=str(catalog.catalog_id),
                unsynced_items=str(unsynced),
            )
        catalogs.begin_delete(tx, catalog)
        return catalog_service_pb2.DeleteCatalogResponse()

    present = await app.answered(request, catalog_service_pb2.DeleteCatalogResponse)
    if present is not None:
        return present
    catalog = await app.find_catalog(request.catalog)
    answer = await app.mutate(request, catalog_service_pb2.DeleteCatalogResponse, work)
    await app.finish_deletion(catalog.catalog_id)
    return answer


async def _approve(app: App, specs: Any, at: str) -> list[ApprovedRoot]:
    if len(specs) > ROOTS_A_CATALOG:
        raise invalid(at, f"has more than {ROOTS_A_CATALOG} roots")
    folders: list[bytes] = []
    for place, spec in enumerate(specs):
        field = f"{at}[{place}].path"
        real = await app.long(_looked_at, field, spec.path, marker.real_folder, spec.path)
        await app.read(catalogs.check_no_overlap, real, field, also=folders)
        folders.append(real)
        stored_budget(spec.budget, f"{at}[{place}].budget")
    # Only when all of them can be: a refused request leaves no marker behind.
    approved = []
    for place, (spec, real) in enumerate(zip(specs, folders, strict=True)):
        field = f"{at}[{place}].path"
        root = await app.long(_looked_at, field, spec.path, marker.approve, real, spec.read_only)
        can = await app.long(probe, real, spec.read_only)
        budget = stored_budget(spec.budget, f"{at}[{place}].budget")
        approved.append(ApprovedRoot(**vars(root), abilities=can.to_json(), budget=budget))
    return approved


def _looked_at(field: str, path: str, look: Callable[..., T], *arguments: Any) -> T:
    try:
        return look(*arguments)
    except marker.NotARoot as error:
        kind = FailedPrecondition if error.reason == "ROOT_NOT_WRITABLE" else InvalidArgument
        raise kind(error.reason, f"{field}: {error}", field=field, path=path) from error


def _page(
    request: catalog_service_pb2.ListCatalogsRequest, found: list[Catalog]
) -> catalog_service_pb2.ListCatalogsResponse:
    size, after = paging.page_size(request), paging.position(request)
    rest = [catalog for catalog in found if [catalog.name] > after]
    more = len(rest) > size
    return catalog_service_pb2.ListCatalogsResponse(
        catalogs=[catalog_message(catalog) for catalog in rest[:size]],
        next_page_token=paging.next_token(request, [rest[size - 1].name]) if more else "",
        total_size=len(found),
    )


def _masked(catalog: Catalog, request: catalog_service_pb2.UpdateCatalogRequest) -> Catalog:
    """The catalog with the fields of the mask changed."""
    if not request.update_mask.paths:
        raise invalid("update_mask", "is empty: name the fields to change")
    wanted = request.catalog
    policy, fields = policy_message(catalog.policy), custom_field_messages(catalog.policy)
    for path in request.update_mask.paths:
        if path in _SETTINGS:
            catalog = replace(catalog, **{_SETTINGS[path][0]: _SETTINGS[path][1](wanted)})
        elif path == "roots":
            catalog = replace(catalog, roots=_kept_roots(catalog, wanted.roots))
        elif path == "policy":
            policy = wanted.policy
        elif path == "custom_fields":
            fields = list(wanted.custom_fields)
        elif path.startswith("policy.") and path.removeprefix("policy.") in policy.DESCRIPTOR.fields_by_name:
            _take_over(policy, wanted.policy, path.removeprefix("policy."))
        else:
            raise invalid("update_mask", f"{path!r} can't be changed", reason="UNKNOWN_FIELD", name=path)
    return replace(catalog, policy=stored_policy(policy, fields))


def _take_over(message: Message, other: Message, name: str) -> None:
    """Set one field of a message as it is in another."""
    only = type(message)()
    only.CopyFrom(other)
    for field in message.DESCRIPTOR.fields_by_name:
        if field != name:
            only.ClearField(field)
    message.ClearField(name)
    message.MergeFrom(only)


def _kept_roots(catalog: Catalog, wanted: Sequence[catalog_pb2.Root]) -> tuple[Root, ...]:
    """The roots that stay, with their budgets changed."""
    budgets = {
        root.id: stored_budget(root.budget, f"catalog.roots[{place}].budget") for place, root in enumerate(wanted)
    }
    return tuple(replace(root, budget=budgets[root.root_id]) for root in catalog.roots if root.root_id in budgets)


def _quiet(wanted: catalog_pb2.Catalog | catalog_service_pb2.CreateCatalogRequest) -> int:
    return wanted.quiet_period.ToMilliseconds() if wanted.HasField("quiet_period") else DEFAULT_QUIET_MS


# Of a field in the mask: what the catalog calls it, and its value.
_SETTINGS: Mapping[str, tuple[str, Callable[[catalog_pb2.Catalog], Any]]] = {
    "name": ("name", lambda wanted: wanted.name),
    "description": ("description", lambda wanted: wanted.description),
    "quiet_period": ("quiet_ms", _quiet),
    "schedule": ("schedule", lambda wanted: stored_schedule(wanted.schedule, "catalog.schedule")),
    "budget": ("budget", lambda wanted: stored_budget(wanted.budget, "catalog.budget")),
}
