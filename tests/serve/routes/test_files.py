"""Files of runs: what lies in the folder of a run, and nothing else."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.serve.served import Served, serving


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    project = tmp_path_factory.mktemp("project")
    output = project / "reports" / "output"
    run = output / "one"
    run.mkdir(parents=True)
    for place in (
        project / "secret.json",
        output / "trials.sqlite",
        output / "top.json",
        run / "run.json",
        run / "key.pem",
        run / ".hidden.json",
    ):
        place.write_text(f"content of {place.name}")
    (run / "index.html").write_text("<script>document.title = 1</script>")
    (run / "out.json").symlink_to(project / "secret.json")
    (output / "away").symlink_to(project)
    (run / "sub").mkdir()
    (run / "sub" / "deep.json").write_text("content")
    with serving(project) as found:
        yield found


def test_a_file_of_a_run_is_served(served: Served) -> None:
    assert served.ask("/runs/one/run.json").text == "content of run.json"


@pytest.mark.parametrize(
    "path",
    [
        "/runs/../secret.json", "/runs/one/../../../secret.json", "/runs/one/..%2f..%2f..%2fsecret.json", "/runs/..%2f/secret.json",
        "/runs/%2e%2e/secret.json", "/runs/one/%2e%2e/top.json", "/runs/one/..%5csecret.json", "/runs/one/out.json",
        "/runs/away/secret.json",
        "/runs/one/.hidden.json", "/runs/one/key.pem", "/runs/./top.json", "/runs/%2e/top.json", "/runs//top.json", "/runs/one//run.json",
        "/runs/one/sub/deep.json", "/runs/one/sub", "/runs/one/run.json%00.html", "/runs/%00/run.json", f"/runs/one/{'a' * 5000}.json",
        "/static/../secret.json", "/static/page.css", "/static/%2e%2e%2fserve.js", "/runs/one", "/runs//etc/passwd",
    ],
)  # fmt: skip
def test_nothing_else_is(served: Served, path: str) -> None:
    answer = served.ask(path)
    assert answer.status == 404, path
    assert "content of" not in answer.text


def test_a_page_of_a_run_is_shown_in_a_sandbox(served: Served) -> None:
    policy = served.ask("/runs/one/index.html").headers["content-security-policy"]
    assert policy.startswith("sandbox allow-scripts") and "allow-same-origin" not in policy and "connect-src" not in policy


def test_the_library_of_the_charts_needs_no_cookie_and_is_the_installed_one(served: Served) -> None:
    answer = served.ask("/runs/whatever/plotly.min.js", known=False)
    assert answer.status == 200 and len(answer.text) > 1_000_000
    assert answer.headers["cross-origin-resource-policy"] == "cross-origin"
