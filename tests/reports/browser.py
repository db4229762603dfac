"""Pages in a real browser: what they say on the console, what they load, and whether they fit a phone."""

from __future__ import annotations

import html
import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests import PATIENCE_S

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
SWITCHES = """headless no-sandbox disable-gpu disable-quic no-first-run disable-background-networking disable-component-update disable-sync
disable-extensions hide-scrollbars allow-file-access-from-files enable-logging=stderr virtual-time-budget=8000 dump-dom"""
# Every name resolves to nothing: a page that asks another machine for anything says so on the console.
OFFLINE = "--host-resolver-rules=MAP * ~NOTFOUND"
HARNESS = """<!doctype html><meta charset="utf-8"><body style="margin:0">{frames}<pre id="found"></pre><script>
function look() {{
  const found = {{}};
  for (const frame of document.querySelectorAll("iframe")) {{
    const page = frame.contentDocument, root = page.documentElement;
    const charts = Array.from(page.querySelectorAll("[data-chart]")).filter((box) => box.offsetParent);
    found[frame.dataset.name] = {{
      title: page.title, width: root.clientWidth, content: Math.max(root.scrollWidth, page.body.scrollWidth),
      charts: charts.length, drawn: charts.filter((box) => box.querySelector(".main-svg")).length,
      loaded: frame.contentWindow.performance.getEntriesByType("resource").map((entry) => entry.name),
    }};
  }}
  document.getElementById("found").textContent = JSON.stringify(found);
}}
// Charts are drawn as they come into view, or all at once for the printer.
function unroll() {{
  for (const frame of document.querySelectorAll("iframe")) frame.contentWindow.dispatchEvent(new Event("beforeprint"));
  setTimeout(look, 2000);
}}
addEventListener("load", () => setTimeout(unroll, 1000));
</script>"""


def look_at(pages: dict[str, Path], folder: Path, width: int) -> tuple[dict[str, Any], list[str]]:
    """Open each page in a frame of `width` pixels; returns what was found by name, and what the console said."""
    if CHROMIUM is None:
        pytest.skip("no chromium here: install it to check the pages in a browser")
    frames = "".join(
        f'<iframe data-name="{name}" src="{path.resolve().as_uri()}" style="width:{width}px;height:900px;border:0"></iframe>'
        for name, path in pages.items()
    )
    harness = folder / f"harness-{width}.html"
    harness.write_text(HARNESS.format(frames=frames), encoding="utf-8")
    size = f"--window-size={max(width, 600)},900"
    command = [
        CHROMIUM,
        *(f"--{switch}" for switch in SWITCHES.split()),
        OFFLINE,
        size,
        f"--user-data-dir={folder / 'profile'}",
        harness.as_uri(),
    ]
    done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE_S, check=False)
    console = [line for line in done.stderr.splitlines() if "CONSOLE" in line]
    match = re.search(r'<pre id="found">(.*?)</pre>', done.stdout, re.DOTALL)
    assert match and match[1], f"the browser showed nothing: {done.stderr[-2000:]}"
    return json.loads(html.unescape(match[1])), console
