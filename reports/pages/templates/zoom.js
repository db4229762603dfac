"use strict";
// Wheel, pinch and keys on the charts over time, and the strip below the buttons that shows which part of the whole is in view.
(function () {
  const charts = window.forwardtraderCharts;
  if (!charts || !charts.times.length) return;
  const BAR = charts.times.length > 1 ? (charts.times[charts.times.length - 1] - charts.times[0]) / (charts.times.length - 1) : 60000;

  // A stretch of at least a few bars inside the whole.
  function inside(range) {
    const [first, last] = charts.whole();
    const length = Math.min(Math.max(range[1] - range[0], 5 * BAR), last - first);
    const from = Math.min(Math.max(range[0], first), last - length);
    return [from, from + length];
  }

  // One drawing a frame, of the newest range asked for.
  let asked = null;
  function ask(group, range) {
    if (!asked) requestAnimationFrame(() => { const [g, r] = asked; asked = null; charts.show(g, r, ""); });
    asked = [group, inside(range)];
  }
  function current(group) { return asked && asked[0] === group ? asked[1] : charts.rangeOf(group); }
  function scaled(range, factor, share) {
    const at = range[0] + share * (range[1] - range[0]);
    return [at - (at - range[0]) * factor, at + (range[1] - at) * factor];
  }
  function moved(range, share) { const by = share * (range[1] - range[0]); return [range[0] + by, range[1] + by]; }

  // Where in the plot, 0 to 1, a position on the screen lies.
  function shareAt(box, x) {
    const plot = box.querySelector(".nsewdrag");
    const area = (plot || box).getBoundingClientRect();
    return Math.min(Math.max((x - area.left) / Math.max(area.width, 1), 0), 1);
  }

  const KEYS = { "+": (r) => scaled(r, 0.7, 0.5), "=": (r) => scaled(r, 0.7, 0.5), "-": (r) => scaled(r, 1 / 0.7, 0.5), ArrowLeft: (r) => moved(r, -0.2), ArrowRight: (r) => moved(r, 0.2) };
  const groups = new Map(charts.data.charts.filter((chart) => chart.kind === "time").map((chart) => [chart.id, chart.group]));
  for (const box of document.querySelectorAll("[data-chart]")) {
    const group = groups.get(box.dataset.chart);
    if (!group) continue;
    box.tabIndex = 0;
    box.title = "Click, then turn the wheel or press + and - to zoom, arrows to move; a double click goes back";
    box.addEventListener("pointerdown", () => box.focus({ preventScroll: true }));
    // Without a click the wheel scrolls the page, as everywhere else; with Ctrl, which a trackpad's pinch sends too, it always zooms.
    box.addEventListener("wheel", (event) => {
      if (!event.ctrlKey && document.activeElement !== box) return;
      event.preventDefault();
      ask(group, scaled(current(group), Math.exp(Math.sign(event.deltaY) * 0.18), shareAt(box, event.clientX)));
    }, { passive: false });
    box.addEventListener("keydown", (event) => {
      if (event.key === "Escape") box.blur();
      if (!KEYS[event.key] || event.ctrlKey || event.metaKey) return;
      event.preventDefault();
      ask(group, KEYS[event.key](current(group)));
    });
    pinch(box, group);
  }

  // Two fingers keep the times that are under them.
  function pinch(box, group) {
    let held = null;
    const shares = (event) => Array.from(event.touches, (touch) => shareAt(box, touch.clientX)).sort((a, b) => a - b);
    box.addEventListener("touchstart", (event) => {
      if (event.touches.length !== 2) return;
      const range = current(group), length = range[1] - range[0];
      held = shares(event).map((share) => range[0] + share * length);
      event.preventDefault();
    }, { passive: false });
    box.addEventListener("touchmove", (event) => {
      if (!held || event.touches.length !== 2) return;
      event.preventDefault();
      const [left, right] = shares(event);
      if (right - left < 0.02) return;
      const length = (held[1] - held[0]) / (right - left);
      ask(group, [held[0] - left * length, held[0] - left * length + length]);
    }, { passive: false });
    box.addEventListener("touchend", (event) => { if (event.touches.length < 2) held = null; });
  }

  // The whole run in a strip, with the part in view as a window that can be dragged and drawn wider.
  function strip(place) {
    const group = place.dataset.overview;
    const chart = charts.data.charts.find((one) => one.group === group);
    if (!chart) return;
    const canvas = document.createElement("canvas"), pane = document.createElement("div");
    pane.className = "pane";
    pane.append(Object.assign(document.createElement("i"), { className: "edge" }), Object.assign(document.createElement("i"), { className: "edge" }));
    place.append(canvas, pane);
    const [first, last] = charts.whole();
    function draw() {
      const values = charts.valuesOf(chart.lines[chart.lines.length - 1].derive ? chart.lines[0] : chart.lines.find((line) => line.width !== 0) || chart.lines[0]);
      const width = canvas.width = place.clientWidth * devicePixelRatio, height = canvas.height = place.clientHeight * devicePixelRatio;
      let low = Infinity, high = -Infinity;
      for (const value of values) { if (value < low) low = value; if (value > high) high = value; }
      const pen = canvas.getContext("2d");
      pen.strokeStyle = charts.color("$third");
      pen.lineWidth = devicePixelRatio;
      pen.beginPath();
      const step = Math.max(1, Math.floor(values.length / (2 * width)));
      for (let i = 0, started = false; i < values.length; i += step) {
        if (Number.isNaN(values[i])) continue;
        const x = (charts.times[i] - first) / Math.max(last - first, 1) * width;
        const y = height - 3 - (values[i] - low) / Math.max(high - low, 1e-12) * (height - 6);
        if (started) pen.lineTo(x, y); else pen.moveTo(x, y);
        started = true;
      }
      pen.stroke();
    }
    function put(range) {
      const left = Math.max(0, (range[0] - first) / (last - first)), right = Math.min(1, (range[1] - first) / (last - first));
      pane.style.left = 100 * left + "%";
      pane.style.width = 100 * Math.max(right - left, 0) + "%";
    }
    let grip = null;
    place.addEventListener("pointerdown", (event) => {
      const area = place.getBoundingClientRect(), at = first + (event.clientX - area.left) / area.width * (last - first);
      const range = charts.rangeOf(group), near = 14 / area.width * (last - first);
      const kind = Math.abs(at - range[0]) < near ? 0 : Math.abs(at - range[1]) < near ? 1 : "all";
      const start = kind === "all" && (at < range[0] || at > range[1]) ? [at - (range[1] - range[0]) / 2, at + (range[1] - range[0]) / 2] : range;
      grip = { kind: kind, at: at, range: start };
      if (start !== range) ask(group, start);
      place.setPointerCapture(event.pointerId);
    });
    place.addEventListener("pointermove", (event) => {
      if (!grip) return;
      const area = place.getBoundingClientRect(), by = first + (event.clientX - area.left) / area.width * (last - first) - grip.at;
      const range = grip.range.slice();
      if (grip.kind === "all") { range[0] += by; range[1] += by; } else range[grip.kind] += by;
      if (range[0] > range[1]) range.reverse();
      ask(group, range);
    });
    for (const end of ["pointerup", "pointercancel"]) place.addEventListener(end, () => { grip = null; });
    charts.watch((changed, range) => { if (changed === group) put(range); });
    addEventListener("resize", draw);
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", draw);
    draw();
    put(charts.rangeOf(group));
  }
  document.querySelectorAll("[data-overview]").forEach(strip);
})();
