"""What would be written, asked before anything is: page by page, or added up."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence

from indelible.v1 import sync_pb2, sync_service_pb2, tags_pb2

from ..domain import previews
from ..domain.advice import with_advice
from ..domain.previews import Preview, Summary
from ..storage.items import Page, Selection
from . import paging
from .app import App
from .convert import failure_counts, value_of
from .convert_tags import diff_message
from .selections import selection

AT_ONCE = 32
EVERY_S = 0.25


async def preview_write(
    app: App, request: sync_service_pb2.PreviewWriteRequest
) -> sync_service_pb2.PreviewWriteResponse:
    """One page of previews."""
    size, after = paging.page_size(request), Page(*paging.position(request))
    catalog = await app.find_catalog(request.catalog)
    found, total = await app.long(app.database.read, previews.page, catalog, _chosen(request), after, size + 1)
    shown = {item_id: path for path, item_id in found[:size]}
    writes = await _looked_at(app, catalog.catalog_id, list(shown))
    return sync_service_pb2.PreviewWriteResponse(
        writes=[_write_message(each, shown[each.item_id]) for each in writes],
        next_page_token=paging.next_token(request, list(found[size - 1])) if len(found) > size else "",
        total_size=total,
        bytes_to_write=sum(each.bytes_to_write for each in writes),
    )


async def summarize_write(
    app: App, request: sync_service_pb2.SummarizeWriteRequest
) -> AsyncIterator[sync_service_pb2.SummarizeWriteResponse]:
    """The sums of all previews, as they grow."""
    catalog = await app.find_catalog(request.catalog)
    wanted = [item_id for _, item_id in await app.long(app.database.read, previews.wanted, catalog, _chosen(request))]
    summary, loop = Summary(total=len(wanted)), asyncio.get_running_loop()
    shown_at = loop.time() - EVERY_S
    for start in range(0, len(wanted), AT_ONCE):
        if loop.time() - shown_at >= EVERY_S:
            yield _summary_message(summary)
            shown_at = loop.time()
        some = wanted[start : start + AT_ONCE]
        for each in await app.previews.of_items(catalog.catalog_id, some):
            summary.add(each)
    yield _summary_message(summary, done=True)


def _chosen(
    request: sync_service_pb2.PreviewWriteRequest | sync_service_pb2.SummarizeWriteRequest,
) -> Selection | None:
    return selection(request.selection) if request.HasField("selection") else None


async def _looked_at(app: App, catalog_id: int, item_ids: Sequence[int]) -> list[Preview]:
    found: list[Preview] = []
    for start in range(0, len(item_ids), AT_ONCE):
        found += await app.previews.of_items(catalog_id, item_ids[start : start + AT_ONCE])
    return found


def _write_message(preview: Preview, path: str) -> sync_pb2.PlannedWrite:
    return sync_pb2.PlannedWrite(
        item_id=str(preview.item_id),
        path=path,
        files=[
            sync_pb2.PlannedFile(
                home=value_of(tags_pb2.Home, "HOME", file.home),
                path=file.path,
                method=value_of(sync_pb2.WriteMethod, "WRITE_METHOD", file.method),
                bytes_to_write=file.bytes_to_write,
            )
            for file in preview.files
        ],
        diff=diff_message({name: list(values) for name, values in preview.changes.items()}),
        failure=_failure(preview),
        note=preview.note,
    )


def _failure(preview: Preview) -> sync_pb2.Failure | None:
    if not preview.failure:
        return None
    return sync_pb2.Failure(
        reason=value_of(sync_pb2.FailureReason, "FAILURE_REASON", preview.failure),
        message=with_advice(preview.message, preview.failure),
    )


def _summary_message(summary: Summary, *, done: bool = False) -> sync_service_pb2.SummarizeWriteResponse:
    return sync_service_pb2.SummarizeWriteResponse(
        looked_at_items=summary.total if done else summary.looked_at,
        total_items=summary.total,
        done=done,
        writes=[
            sync_service_pb2.WriteSum(
                format=format_,
                method=value_of(sync_pb2.WriteMethod, "WRITE_METHOD", method),
                items=number,
                bytes_to_write=summary.bytes_to_write[format_, method],
            )
            for (format_, method), number in summary.items.most_common()
        ],
        bytes_to_write=sum(summary.bytes_to_write.values()),
        new_sidecars=summary.new_sidecars,
        failures=failure_counts(summary.failures),
        notes=[sync_service_pb2.NoteCount(note=note, items=number) for note, number in summary.notes.most_common()],
    )
