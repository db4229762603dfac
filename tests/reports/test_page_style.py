"""Colours that everybody can read: WCAG 2.1 asks for a contrast of 4.5 between text and its ground."""

from __future__ import annotations

import re

import pytest

from forwardtrader.reports.pages.render import TEMPLATES

CSS = (TEMPLATES / "page.css").read_text(encoding="utf-8")
LIGHT, DARK = (dict(re.findall(r"--(\w[\w-]*): (#[0-9a-f]{6});", block)) for block in re.findall(r":root \{(.*?)\}", CSS, re.DOTALL))
TEXT_ON_GROUND = [
    *((ink, "paper") for ink in ("ink", "soft", "faint", "accent", "good", "bad", "warn", "second", "third")),
    ("good", "good-wash"), ("bad", "bad-wash"), ("warn", "warn-wash"), ("third", "cool-wash"), ("soft", "cool-wash"),
    *((ink, f"{tone}-wash") for ink in ("ink", "soft") for tone in ("good", "bad", "warn")),
]  # fmt: skip


def luminance(color: str) -> float:
    parts = [int(color[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one: str, other: str) -> float:
    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


def test_black_on_white_has_the_contrast_of_the_standard() -> None:
    assert contrast("#000000", "#ffffff") == pytest.approx(21.0)


@pytest.mark.parametrize("palette", [LIGHT, DARK], ids=["light", "dark"])
@pytest.mark.parametrize(("ink", "ground"), TEXT_ON_GROUND)
def test_text_can_be_read_on_its_ground(palette: dict[str, str], ink: str, ground: str) -> None:
    assert contrast(palette[ink], palette[ground]) >= 4.5


def test_every_colour_of_the_light_page_has_a_dark_twin() -> None:
    assert LIGHT.keys() == DARK.keys()
