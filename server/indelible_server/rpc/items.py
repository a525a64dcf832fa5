"""ItemService."""

from __future__ import annotations

from collections.abc import AsyncIterator

from indelible.v1 import item_service_pb2, item_service_pb2_grpc
from sqlalchemy import Connection

from ..domain import catalogs, changes, policies, timeline, undo_jobs
from ..domain import items as item_rules
from ..domain.changes import Attribution, Edited, EditRequest
from ..domain.edits import check_edits
from ..domain.principal import Principal
from ..errors import invalid
from ..storage import items
from ..storage.catalogs import Catalog
from ..storage.item import Item
from ..storage.items import Page
from . import convert_tags, paging
from .app import App, Begin, Work
from .convert import history_message, item_message, job_message
from .feed import feed
from .selections import inside, item_id, saved_search, selection
from .status import NotYetAvailable
from .wrapper import Context, caller


class ItemService(item_service_pb2_grpc.ItemServiceServicer):
    """Items, their tags, and the feed of their changes."""

    def __init__(self, app: App) -> None:
        self._app = app

    async def ListItems(
        self, request: item_service_pb2.ListItemsRequest, context: Context
    ) -> item_service_pb2.ListItemsResponse:
        return await self._app.read(_list, caller(), request)

    async def GetItem(
        self, request: item_service_pb2.GetItemRequest, context: Context
    ) -> item_service_pb2.GetItemResponse:
        item = await self._app.read(_find, caller(), request)
        return item_service_pb2.GetItemResponse(item=item_message(item, with_homes=True))

    async def EditTags(
        self, request: item_service_pb2.EditTagsRequest, context: Context
    ) -> item_service_pb2.EditTagsResponse:
        wanted = _edit_request(await self._app.find_catalog(request.catalog), self._app, request)
        answer = await self._app.long(changes.edit_tags, self._app.database, wanted, edit_answer)
        return item_service_pb2.EditTagsResponse.FromString(answer)

    async def RemoveItems(
        self, request: item_service_pb2.RemoveItemsRequest, context: Context
    ) -> item_service_pb2.RemoveItemsResponse:
        return await self._app.mutate_many(request, item_service_pb2.RemoveItemsResponse, _remover(request), _removed)

    async def WatchItems(
        self, request: item_service_pb2.WatchItemsRequest, context: Context
    ) -> AsyncIterator[item_service_pb2.WatchItemsResponse]:
        catalog = await self._app.find_catalog(request.catalog)
        async for message in feed(self._app, catalog.catalog_id, request.resume_token):
            yield message

    async def ListHistory(
        self, request: item_service_pb2.ListHistoryRequest, context: Context
    ) -> item_service_pb2.ListHistoryResponse:
        return await self._app.read(_history, caller(), request)

    async def UndoWrite(
        self, request: item_service_pb2.UndoWriteRequest, context: Context
    ) -> item_service_pb2.UndoWriteResponse:
        return await self._app.mutate(request, item_service_pb2.UndoWriteResponse, _undoer(request))


def edit_answer(edited: Edited) -> bytes:
    """The stored answer of an EditTags."""
    return item_service_pb2.EditTagsResponse(
        first_revision=edited.first_revision,
        last_revision=edited.last_revision,
        matched=edited.matched,
        changed=edited.changed,
    ).SerializeToString()


def _edit_request(catalog: Catalog, app: App, request: item_service_pb2.EditTagsRequest) -> EditRequest:
    key = app.request_key(request)
    if key is None:
        raise invalid("request_id", "is empty: give a fresh one for each edit", reason="REQUEST_ID_MISSING")
    if any(edit.clear.purge for edit in request.edits):
        raise NotYetAvailable("Clearing with purge", field="edits.clear.purge")
    return EditRequest(
        catalog_id=catalog.catalog_id,
        selection=selection(request.selection),
        edits=check_edits(convert_tags.edits(request.edits), policies.custom_fields(catalog)),
        by=Attribution(caller().name, request.on_behalf_of),
        key=key,
        expected_revision=request.expected_revision if request.HasField("expected_revision") else None,
    )


def _list(
    tx: Connection, who: Principal, request: item_service_pb2.ListItemsRequest
) -> item_service_pb2.ListItemsResponse:
    if request.words:
        raise NotYetAvailable("Searching for words", field="words")
    catalog = catalogs.find(tx, who, request.catalog)
    search, prefix = saved_search(request.saved_search), inside(request.path_prefix, "path_prefix")
    size, after = paging.page_size(request), Page(*paging.position(request))
    found = items.page(tx, catalog.catalog_id, search, prefix, request.root_id, after, size + 1)
    shown = found[:size]
    conditions = (catalog.catalog_id, search, prefix, request.root_id)
    return item_service_pb2.ListItemsResponse(
        items=[item_message(item) for item in shown],
        next_page_token=paging.next_token(request, [shown[-1].path, shown[-1].item_id]) if len(found) > size else "",
        total_size=item_rules.size(tx, *conditions),
        unsynced_size=item_rules.unsynced_size(tx, *conditions),
    )


def _find(
    tx: Connection, who: Principal, request: item_service_pb2.GetItemRequest | item_service_pb2.ListHistoryRequest
) -> Item:
    catalog = catalogs.find(tx, who, request.catalog)
    if request.WhichOneof("item") == "item_id":
        return item_rules.by_id(tx, catalog, item_id(request.item_id, "item_id"))
    if request.WhichOneof("item") == "path":
        return item_rules.by_path(tx, catalog, inside(request.path, "path"), request.root_id)
    raise invalid("item", "is empty: give item_id or path")


def _history(
    tx: Connection, who: Principal, request: item_service_pb2.ListHistoryRequest
) -> item_service_pb2.ListHistoryResponse:
    item = _find(tx, who, request)
    size, after = paging.page_size(request), paging.position(request)
    before = (after[0], after[1], after[2]) if after else None
    found = timeline.newest(tx, item.catalog_id, item.item_id, size + 1, before)
    shown = found[:size]
    return item_service_pb2.ListHistoryResponse(
        entries=[history_message(entry) for entry in shown],
        next_page_token=paging.next_token(request, [*timeline.position(shown[-1])]) if len(found) > size else "",
        total_size=timeline.count(tx, item.catalog_id, item.item_id),
    )


def _undoer(request: item_service_pb2.UndoWriteRequest) -> Work[item_service_pb2.UndoWriteResponse]:
    chosen = selection(request.selection)

    def work(tx: Connection, who: Principal) -> item_service_pb2.UndoWriteResponse:
        catalog = catalogs.find(tx, who, request.catalog)
        job = undo_jobs.start_for_items(tx, who, catalog, chosen, request.write_id)
        return item_service_pb2.UndoWriteResponse(job=job_message(job))

    return work


def _remover(request: item_service_pb2.RemoveItemsRequest) -> Begin:
    chosen = selection(request.selection)
    return lambda tx, who: item_rules.removal(tx, catalogs.find(tx, who, request.catalog), chosen)


def _removed(_matched: int, removed: int) -> item_service_pb2.RemoveItemsResponse:
    return item_service_pb2.RemoveItemsResponse(removed=removed)
