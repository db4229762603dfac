"""The request log keeps entries in order, without secrets."""

from __future__ import annotations

import logging

from forwardtrader.sandbox.transport import request_log
from forwardtrader.sandbox.transport.request_log import LogEntries, RequestLog


def test_entries_are_numbered_and_read_from_a_number_on() -> None:
    log = RequestLog()
    for name in ("a", "b", "c"):
        log.add("rest", name)
    assert [(entry["n"], entry["name"]) for entry in log.since(1)] == [(2, "b"), (3, "c")]
    assert log.since(3) == []


def test_secrets_are_left_out_and_an_outcome_can_be_added() -> None:
    log = RequestLog()
    entry = log.add("rest", "order", {"symbol": "BTCUSDT", "signature": "x", "apiKey": "y", "sign": "z", "api_key": "k"}, sent=2)
    entry["status"] = 200
    [kept] = log.since(0)
    assert (kept["params"], kept["sent"], kept["status"]) == ({"symbol": "BTCUSDT"}, 2, 200)


def test_only_the_newest_entries_are_kept() -> None:
    log = RequestLog()
    for number in range(request_log.KEPT + 2):
        log.add("rest", str(number))
    assert (len(log.since(0)), log.since(0)[0]["n"]) == (request_log.KEPT, 3)


def test_a_logged_error_becomes_an_entry_with_its_exception() -> None:
    log = RequestLog()
    logger = logging.Logger("sandbox.test")
    logger.addHandler(LogEntries(log))
    logger.info("ignored")
    try:
        raise ValueError("broken")
    except ValueError:
        logger.exception("failed")
    [entry] = log.since(0)
    assert (entry["kind"], entry["name"], entry["source"], entry["params"]) == (
        "error",
        "failed",
        "sandbox.test",
        {"error": "ValueError('broken')"},
    )
