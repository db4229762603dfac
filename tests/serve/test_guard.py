"""Attacks on the page: from other pages, under other names, without the token, with bodies that are too large or do not end."""

from __future__ import annotations

import http.client
import socket
from collections.abc import Iterator

import pytest

from forwardtrader.serve.guard import MOST_BYTES
from tests import PATIENCE_S
from tests.serve.served import TOKEN, Served, serving

COMMAND = "/sessions/one/pause"


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with serving(tmp_path_factory.mktemp("project")) as found:
        yield found


@pytest.mark.parametrize("path", ["/", "/runs", "/compare?run=a&run=b", "/runs/a/run.json", "/nothing", "/evil/plotly.min.js"])
def test_nobody_comes_in_without_the_token(served: Served, path: str) -> None:
    answer = served.ask(path, known=False)
    assert answer.status == 401
    assert served.access.form_token not in answer.text and "serve</code> printed" in answer.text


@pytest.mark.parametrize("token", ["", "x", TOKEN[:-1], TOKEN + "t", "%ff%00", "t" * 8000])
def test_a_wrong_token_lets_nobody_in(served: Served, token: str) -> None:
    answer = served.ask(f"/?token={token}", known=False)
    assert answer.status == 401 and "set-cookie" not in answer.headers


def test_the_token_is_taken_out_of_the_address_and_a_cookie_given_for_it(served: Served) -> None:
    answer = served.ask(f"/runs?token={TOKEN}&part=rows", known=False)
    assert (answer.status, answer.headers["location"]) == (303, "/runs?part=rows")
    cookie = answer.headers["set-cookie"]
    assert "HttpOnly" in cookie and "SameSite=strict" in cookie and TOKEN not in cookie
    assert served.ask("/runs", known=False, Cookie=cookie.partition(";")[0]).status == 200


def test_the_address_leads_to_no_other_machine(served: Served) -> None:
    assert served.ask(f"//evil.example/?token={TOKEN}", known=False).headers["location"].startswith("/evil.example")


@pytest.mark.parametrize(
    "host", ["evil.example", "evil.example:80", "127.0.0.1.evil.example", "localhost@evil.example", "", "[::2]", "10.0.0.1"]
)
def test_under_another_name_nothing_is_answered(served: Served, host: str) -> None:
    """As when a name of an attacker's is made to lead to this machine."""
    for known in (True, False):
        assert served.ask("/runs", known=known, Host=host).status in (400, 421)
    assert not host or served.command(COMMAND, Host=host, Origin=f"http://{host}").status in (400, 421)


@pytest.mark.parametrize("host", ["127.0.0.1:{port}", "localhost:{port}", "LOCALHOST:9999", "[::1]:{port}"])
def test_the_names_of_this_machine_are_answered(served: Served, host: str) -> None:
    assert served.ask("/runs", Host=host.format(port=served.port)).status == 200


@pytest.mark.parametrize(
    "forged",
    [
        {"Origin": "https://evil.example"}, {"Origin": "null"}, {"Origin": ""}, {"Origin": "http://127.0.0.1:1"},
        {"Origin": "http://localhost"}, {"Sec_Fetch_Site": "cross-site"}, {"Sec_Fetch_Site": "same-site"}, {"Sec_Fetch_Site": "none"},
        {"X_Form_Token": ""}, {"X_Form_Token": "0" * 64}, {"X_Form_Token": TOKEN},
    ],
    ids=str,
)  # fmt: skip
def test_a_command_from_elsewhere_is_refused_though_the_browser_is_known(served: Served, forged: dict[str, str]) -> None:
    assert served.command(COMMAND, **forged).status == 403


def test_a_command_without_the_cookie_is_refused(served: Served) -> None:
    assert (
        served.ask(COMMAND, method="POST", body=b"{}", known=False, Origin=served.address, X_Form_Token=served.access.form_token).status
        == 401
    )


@pytest.mark.parametrize("kind", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", ""])
def test_what_a_form_of_another_page_could_send_is_no_command(served: Served, kind: str) -> None:
    assert served.command(COMMAND, Content_Type=kind).status == 415


@pytest.mark.parametrize("method", ["PUT", "DELETE", "OPTIONS", "PATCH", "TRACE", "PROPFIND"])
def test_other_methods_are_refused(served: Served, method: str) -> None:
    assert served.ask("/runs", method=method).status == 405


def test_a_huge_body_is_not_read(served: Served) -> None:
    assert served.command(COMMAND, Content_Length=str(10**12)).status == 413
    assert served.command(COMMAND, {"x": "y" * MOST_BYTES}).status == 413
    chunk = b"%x\r\n%s\r\n" % (MOST_BYTES, b"x" * MOST_BYTES)
    headers = {
        "Origin": served.address, "X_Form_Token": served.access.form_token, "Content_Type": "application/json",
        "Transfer_Encoding": "chunked",
    }  # fmt: skip
    assert served.ask(COMMAND, method="POST", body=chunk * 4 + b"0\r\n\r\n", **headers).status == 413


def test_huge_and_broken_heads_do_no_harm(served: Served) -> None:
    for head in (
        b"GET /" + b"a" * 100_000 + b" HTTP/1.1\r\n\r\n",
        b"GET /runs HTTP/1.1\r\n" + b"X: y\r\n" * 20_000 + b"\r\n",
        b"\0\xff\r\n\r\n",
    ):
        with socket.create_connection(("127.0.0.1", served.port), timeout=PATIENCE_S) as raw:
            try:
                raw.sendall(head)
                assert b" 200 " not in raw.recv(4096)
            except ConnectionError:
                pass
    assert served.ask("/runs").status == 200


def test_connections_that_are_left_open_keep_nobody_out(served: Served) -> None:
    held = [http.client.HTTPConnection("127.0.0.1", served.port, timeout=PATIENCE_S) for _ in range(50)]
    try:
        for connection in held:
            connection.connect()
            connection.sock.sendall(b"POST /sessions/one/kill HTTP/1.1\r\nHost: localhost\r\n")
        assert served.ask("/runs").status == 200
    finally:
        for connection in held:
            connection.close()


def test_every_answer_has_the_headers_that_bind_the_browser(served: Served) -> None:
    for path, known in (("/runs", True), ("/nothing", True), ("/runs", False), ("/static/serve.js", False)):
        headers = served.ask(path, known=known).headers
        policy = headers["content-security-policy"]
        assert "default-src 'none'" in policy and "unsafe" not in policy and "frame-ancestors 'none'" in policy
        assert headers["x-content-type-options"] == "nosniff" and headers["referrer-policy"] == "no-referrer"
        assert headers["x-frame-options"] == "DENY" and "server" not in headers
