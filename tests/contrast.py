"""The contrast of every text of a page as a browser shows it: WCAG 2.1, level AA."""

from __future__ import annotations

from typing import Final

from playwright.sync_api import Page

# Colours are painted, so that the browser says what it makes of them: names, mixes, transparent ones. Layers of a ground lie on each other.
CONTRAST: Final = """() => {
  const pen = Object.assign(document.createElement("canvas"), { width: 1, height: 1 }).getContext("2d", { willReadFrequently: true });
  const known = new Map();
  function rgba(text) {
    if (!known.has(text)) {
      pen.clearRect(0, 0, 1, 1);
      pen.fillStyle = text;
      pen.fillRect(0, 0, 1, 1);
      const [r, g, b, a] = pen.getImageData(0, 0, 1, 1).data;
      known.set(text, [r, g, b, a / 255]);
    }
    return known.get(text);
  }
  const over = (top, alpha, below) => [0, 1, 2].map((i) => top[i] * alpha + below[i] * (1 - alpha));
  const linear = (v) => (v /= 255) <= 0.04045 ? v / 12.92 : Math.pow((v + 0.055) / 1.055, 2.4);
  const light = ([r, g, b]) => 0.2126 * linear(r) + 0.7152 * linear(g) + 0.0722 * linear(b);
  const opacity = (node) => (node ? getComputedStyle(node).opacity * opacity(node.parentElement) : 1);
  function ground(node) {
    if (!node) return [255, 255, 255];
    const below = ground(node.parentElement), c = rgba(getComputedStyle(node).backgroundColor);
    return over(c, c[3] * opacity(node), below);
  }
  const found = [];
  let texts = 0;
  for (const node of document.querySelectorAll("body *")) {
    const own = Array.from(node.childNodes).some((each) => each.nodeType === 3 && each.textContent.trim());
    const field = node.matches("input, textarea") && (node.value || node.placeholder);
    if (!(own || field) || !node.getClientRects().length || node.closest("script, style, [aria-hidden=true]") || node.disabled) continue;
    const style = getComputedStyle(node), size = parseFloat(style.fontSize), is_drawn = node.closest("svg");
    if (style.visibility === "hidden" || opacity(node) === 0) continue;
    const ink = rgba(is_drawn ? style.fill : style.color), below = ground(node);
    const a = light(over(ink, ink[3] * opacity(node), below)), b = light(below);
    const least = size >= 24 || (size >= 18.66 && style.fontWeight >= 700) ? 3 : 4.5;
    const ratio = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
    texts += 1;
    if (ratio < least) found.push((node.textContent.trim() || node.value || node.placeholder).slice(0, 40) + " " + ratio.toFixed(2));
  }
  return [texts, found];
}"""


def faint_texts(page: Page) -> list[str]:
    """Texts whose contrast is below AA."""
    texts, found = page.evaluate(CONTRAST)
    assert texts, "the page shows no text"
    return list(found)
