"""Tokens: stored as hashes, valid until they end."""

from __future__ import annotations

import pytest
import sqlalchemy as sa
from indelible_server.storage import tokens
from indelible_server.storage.database import Database, now_ms
from indelible_server.storage.tables import tokens as token_rows
from indelible_server.storage.tokens import Token
from sqlalchemy.exc import IntegrityError

SECRET = "s3cret"


def test_a_token_is_found_by_its_secret_only(database: Database) -> None:
    database.write(tokens.insert, Token("id", "ann", "editor", (3, 4)), SECRET)
    found = database.read(tokens.find, SECRET)
    assert found is not None
    assert (found.token_id, found.name, found.role, found.catalogs) == ("id", "ann", "editor", (3, 4))
    assert database.read(tokens.find, SECRET + "x") is None
    assert database.read(tokens.find, "") is None


def test_the_secret_is_not_in_the_database(database: Database) -> None:
    database.write(tokens.insert, Token("id", "ann", "admin"), SECRET)
    (row,) = database.read(lambda tx: list(tx.execute(sa.select(token_rows))))
    assert SECRET not in repr(row)
    assert SECRET.encode() not in row.digest


@pytest.mark.parametrize("catalogs", [None, (), (1,)])
def test_no_list_of_catalogs_is_all_and_an_empty_one_is_none(
    database: Database, catalogs: tuple[int, ...] | None
) -> None:
    database.write(tokens.insert, Token("id", "ann", "viewer", catalogs), SECRET)
    found = database.read(tokens.find, SECRET)
    assert found is not None
    assert found.catalogs == catalogs


def test_an_expired_token_is_worthless(database: Database) -> None:
    now = database.read(now_ms)
    database.write(tokens.insert, Token("late", "ann", "viewer", expires_at=now), "late")
    database.write(tokens.insert, Token("early", "ann", "viewer", expires_at=now + 60_000), "early")
    assert database.read(tokens.find, "late") is None
    assert database.read(tokens.find, "early") is not None


def test_a_revoked_token_is_worthless_and_still_listed(database: Database) -> None:
    database.write(tokens.insert, Token("1", "ann", "viewer"), "one")
    database.write(tokens.insert, Token("2", "bob", "viewer"), "two")
    assert database.write(tokens.revoke, "1")
    assert not database.write(tokens.revoke, "no such token")
    assert database.read(tokens.find, "one") is None
    assert database.read(tokens.find, "two") is not None
    assert [token.name for token in database.read(tokens.list_all)] == ["ann", "bob"]


def test_two_tokens_never_share_a_secret(database: Database) -> None:
    database.write(tokens.insert, Token("1", "ann", "viewer"), SECRET)
    with pytest.raises(IntegrityError):
        database.write(tokens.insert, Token("2", "bob", "admin"), SECRET)
