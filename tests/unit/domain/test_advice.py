"""Messages of failures say what to do next."""

from __future__ import annotations

from indelible.v1 import sync_pb2
from indelible_server.domain.advice import ADVICE, with_advice
from indelible_server.files.problems import TRANSIENT, Reason


def test_every_reason_of_the_contract_comes_with_what_to_do_next() -> None:
    names = {name.removeprefix("FAILURE_REASON_") for name in sync_pb2.FailureReason.DESCRIPTOR.values_by_name}
    assert set(ADVICE) == names - {"UNSPECIFIED"}


def test_what_is_tried_again_by_itself_is_said_to_be() -> None:
    for reason in Reason:
        assert ("by itself" in ADVICE[reason]) == (reason in TRANSIENT), reason


def test_a_message_is_a_sentence_of_its_own() -> None:
    assert with_advice("open a.jpg: disk full", "NO_SPACE").startswith("open a.jpg: disk full. Make room")
    assert with_advice("It took too long.", "TIMEOUT").startswith("It took too long. Look")
    assert with_advice("why", "OF_ANOTHER_VERSION") == "why"
