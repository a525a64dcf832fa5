"""Request ids: a call is carried out once, however often it is sent."""

from __future__ import annotations

import itertools
import threading
from dataclasses import replace

import pytest
import sqlalchemy as sa
from indelible_server.domain.requests import once
from indelible_server.errors import AlreadyExists
from indelible_server.storage import catalogs, requests
from indelible_server.storage.catalogs import Catalog
from indelible_server.storage.database import Database
from indelible_server.storage.requests import RequestKey
from indelible_server.storage.tables import requests as request_rows
from sqlalchemy import Connection
from support.databases import until_someone_waits

KEY = RequestKey("ann", "CreateCatalog", "request-1", b"digest")


def make(tx: Connection) -> bytes:
    """Make a catalog with a name of its own; the answer is its id."""
    number = len(catalogs.list_all(tx))
    return str(catalogs.insert(tx, Catalog(0, f"Archive {number}"))).encode()


def made(database: Database) -> int:
    """How many there are."""
    return len(database.read(catalogs.list_all))


def test_a_repeated_request_gives_the_first_answer_and_changes_nothing(database: Database) -> None:
    first = database.write(once, KEY, make)
    assert database.write(once, KEY, make) == first
    assert made(database) == 1


def test_an_empty_answer_is_an_answer(database: Database) -> None:
    calls = itertools.count()
    for _ in range(2):
        assert database.write(once, KEY, lambda _tx: bytes(next(calls))) == b""
    assert next(calls) == 1


@pytest.mark.parametrize("other", [{"principal": "bob"}, {"call": "DeleteCatalog"}, {"request_id": "request-2"}])
def test_an_id_is_unique_by_principal_and_call(database: Database, other: dict[str, str]) -> None:
    first = database.write(once, KEY, make)
    assert database.write(once, replace(KEY, **other), make) != first
    assert made(database) == 2


def test_an_id_with_other_content_is_refused(database: Database) -> None:
    database.write(once, KEY, make)
    with pytest.raises(AlreadyExists) as caught:
        database.write(once, replace(KEY, digest=b"other"), make)
    assert (caught.value.reason, caught.value.field) == ("REQUEST_ID_REUSED", "request_id")
    assert made(database) == 1


def test_a_call_without_an_id_is_carried_out_each_time(database: Database) -> None:
    for _ in range(2):
        database.write(once, None, make)
    assert made(database) == 2


def test_a_call_that_was_refused_may_be_repeated(database: Database) -> None:
    def refuse(_tx: Connection) -> bytes:
        raise RuntimeError

    with pytest.raises(RuntimeError):
        database.write(once, KEY, refuse)
    database.write(once, KEY, make)
    assert made(database) == 1


def test_calls_with_one_id_that_race_are_carried_out_once(database: Database) -> None:
    together, answers = threading.Barrier(4), []

    def work() -> None:
        together.wait()
        answers.append(database.write(once, KEY, make))

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=20)
    assert answers == [answers[0]] * 4
    assert made(database) == 1


def test_a_call_with_the_id_of_one_under_way_waits_for_its_answer(postgresql: Database) -> None:
    answers: list[bytes] = []
    late = threading.Thread(target=lambda: answers.append(postgresql.write(once, KEY, make)))

    def work(tx: Connection) -> bytes:
        late.start()
        until_someone_waits(postgresql)
        return make(tx)

    first = postgresql.write(once, KEY, work)
    late.join(timeout=20)
    assert answers == [first]
    assert made(postgresql) == 1


def test_answers_are_kept_for_seven_days_and_those_under_way_for_ever(database: Database) -> None:
    database.write(once, KEY, make)
    database.write(requests.begin, replace(KEY, request_id="under way"))
    age = sa.update(request_rows).values(created_at=request_rows.c.created_at - requests.KEPT_MS + 60_000)
    database.write(lambda tx: tx.execute(age))
    database.write(once, replace(KEY, request_id="next day"), make)
    assert database.read(requests.find, KEY) is not None
    database.write(lambda tx: tx.execute(age))
    database.write(once, replace(KEY, request_id="a week later"), make)
    assert database.read(requests.find, KEY) is None
    assert database.read(requests.find, replace(KEY, request_id="under way")) is not None
    assert database.read(requests.find, replace(KEY, request_id="next day")) is not None
