"""Lists that come page by page."""

from collections.abc import Callable, Iterator, Sized
from typing import Protocol, TypeVar

LARGEST_PAGE = 1_000


class _PagedRequest(Protocol):
    page_size: int
    page_token: str


class _Page(Protocol):
    next_page_token: str


_AnyRequest = TypeVar("_AnyRequest", bound=_PagedRequest)
_AnyPage = TypeVar("_AnyPage", bound=_Page)


def pages(
    call: Callable[[_AnyRequest], _AnyPage],
    request: _AnyRequest,
    rows: Callable[[_AnyPage], Sized],
    limit: int | None = None,
) -> Iterator[_AnyPage]:
    """Give the pages of a list until its end, or until they hold `limit` rows; always at least one page.

    The request's page_size and page_token are used up by this.
    """
    left = limit
    while True:
        request.page_size = LARGEST_PAGE if left is None else max(1, min(left, LARGEST_PAGE))
        page = call(request)
        yield page
        if left is not None:
            left -= len(rows(page))
        if not page.next_page_token or (left is not None and left <= 0):
            return
        request.page_token = page.next_page_token
