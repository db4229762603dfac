"use strict";
// Draws the charts named in the page's data with plotly.js, thinning long lines out to what fits the screen.
(function () {
  const data = JSON.parse(document.getElementById("chart-data").textContent);
  const DAY = 86400000;
  const coarse = matchMedia("(pointer: coarse)").matches;
  const dark = matchMedia("(prefers-color-scheme: dark)");
  const views = new Map();
  const ranges = new Map();  // what each group of charts shows: [from, to] in milliseconds
  const watchers = [];

  function unpack(text, Kind) {
    const raw = atob(text);
    const bytes = new Uint8Array(raw.length);
    for (let i = 0; i < raw.length; i++) bytes[i] = raw.charCodeAt(i);
    return new Kind(bytes.buffer);
  }
  const times = data.times ? unpack(data.times, Float64Array) : new Float64Array(0);
  const unpacked = {};
  function column(name) {
    if (!(name in unpacked)) unpacked[name] = unpack(data.columns[name], Float32Array);
    return unpacked[name];
  }

  // Share below the highest value so far.
  function drawdown(values) {
    const result = new Float32Array(values.length);
    for (let i = 0, peak = -Infinity; i < values.length; i++) {
      if (values[i] > peak) peak = values[i];
      result[i] = values[i] / peak - 1;
    }
    return result;
  }
  const DERIVED = { drawdown: drawdown };
  function valuesOf(line) {
    const key = line.derive + ":" + line.column;
    if (!line.derive) return column(line.column);
    if (!(key in unpacked)) unpacked[key] = DERIVED[line.derive](column(line.column));
    return unpacked[key];
  }

  function color(name) {
    return name && name[0] === "$" ? getComputedStyle(document.documentElement).getPropertyValue("--" + name.slice(1)).trim() : name;
  }
  // Replaces every "$name" in a piece of plotly's JSON by the colour of the page.
  function painted(value) {
    if (typeof value === "string") return color(value);
    if (Array.isArray(value)) return value.map(painted);
    if (value && typeof value === "object") return Object.fromEntries(Object.entries(value).map(([k, v]) => [k, painted(v)]));
    return value;
  }

  // First position whose time is at or after t.
  function position(t) {
    let low = 0, high = times.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (times[middle] < t) low = middle + 1; else high = middle;
    }
    return low;
  }

  // Positions in [from, to) that hold the first, last, lowest and highest value of every line in every stretch.
  function thinned(lines, from, to, stretches) {
    if (to - from <= 2 * stretches) return Array.from({ length: to - from }, (_, i) => from + i);
    const kept = new Set([from, to - 1]);
    for (const values of lines) {
      for (let s = 0; s < stretches; s++) {
        const a = from + Math.floor((to - from) * s / stretches), b = from + Math.floor((to - from) * (s + 1) / stretches);
        let lowest = -1, highest = -1;
        for (let i = a; i < b; i++) {
          if (Number.isNaN(values[i])) continue;
          if (lowest < 0 || values[i] < values[lowest]) lowest = i;
          if (highest < 0 || values[i] > values[highest]) highest = i;
        }
        if (lowest >= 0) { kept.add(lowest); kept.add(highest); }
      }
    }
    return Array.from(kept).sort((a, b) => a - b);
  }

  const FORMATS = { money: ",.0f", percent: ".1%", price: ",.6~g", "": ",.4~g" };

  function traces(chart, range, width) {
    const from = Math.max(position(range[0]) - 1, 0), to = Math.min(position(range[1]) + 1, times.length);
    const candles = candlesOf(chart, from, to, width);
    const shown = chart.lines.filter((line) => !candles || line.column !== chart.candles.close);
    const lines = shown.map(valuesOf);
    const at = thinned(lines, from, to, Math.max(Math.floor(width / 1.6), 120));
    const x = at.map((i) => times[i]);
    const result = shown.map((line, n) => ({
      type: "scatter", mode: "lines", name: line.name, x: x, y: at.map((i) => (Number.isNaN(lines[n][i]) ? null : lines[n][i])),
      line: { color: color(line.color), width: line.width === undefined ? 1.5 : line.width, dash: line.dash || "solid", shape: line.shape || "linear" },
      fill: line.fill || "none", fillcolor: color(line.fillcolor), hovertemplate: "%{y:" + FORMATS[chart.unit] + "}",
      hoverinfo: line.silent ? "skip" : undefined,
    }));
    return result.concat(candles || [], stops(chart, range), marks(chart, range));
  }

  // Candles with their volume where so few bars are in view that one can tell them apart; else nothing, and the closes are a line.
  function candlesOf(chart, from, to, width) {
    if (!chart.candles || to - from > width / 1.35) return null;
    const at = Array.from({ length: to - from }, (_, i) => from + i), x = at.map((i) => times[i]);
    const values = (name) => { const all = column(chart.candles[name]); return at.map((i) => (Number.isNaN(all[i]) ? null : all[i])); };
    const open = values("open"), close = values("close"), volume = values("volume");
    return [{
      type: "candlestick", name: "Candle", x: x, open: open, high: values("high"), low: values("low"), close: close, line: { width: 1 },
      increasing: { line: { color: color("$good") } }, decreasing: { line: { color: color("$bad") } }, hoverlabel: { split: false },
    }, {
      type: "bar", name: "Volume", x: x, y: volume, yaxis: "y2", hovertemplate: "%{y:,.4~s}", opacity: 0.35,
      marker: { color: close.map((value, i) => color(value >= open[i] ? "$good" : "$bad")), line: { width: 0 } },
    }];
  }

  // Prices at which stops rested, as steps: one that was moved goes on where the one before it ended.
  const MOST_STOPS = 3000;
  const STOP_COLORS = { stops: "$warn", liquidation: "$bad" };
  function stops(chart, range) {
    return Object.entries(chart.stops || {}).filter(([name]) => isPressed(chart, name)).map(([name, packed]) => {
      const since = unpackOnce(packed.since, Float64Array), until = unpackOnce(packed.until, Float64Array), price = unpackOnce(packed.price, Float32Array);
      const x = [], y = [];
      let last = NaN, shown = 0;
      for (let i = 0; i < since.length && shown <= MOST_STOPS; i++) {
        if (until[i] < range[0] || since[i] > range[1]) continue;
        if (since[i] !== last && x.length) { x.push(since[i]); y.push(null); }
        x.push(Math.max(since[i], range[0]), Math.min(until[i], range[1]));
        y.push(price[i], price[i]);
        last = until[i];
        shown++;
      }
      return {
        type: "scatter", mode: "lines", name: name === "stops" ? "Stop" : "Liquidation", x: shown > MOST_STOPS ? [] : x, y: y, connectgaps: false,
        line: { color: color(STOP_COLORS[name]), width: 1.4, dash: "dot" }, hovertemplate: "%{y:" + FORMATS.price + "}",
      };
    });
  }
  const decoded = new Map();
  function unpackOnce(text, Kind) {
    if (!decoded.has(text)) decoded.set(text, unpack(text, Kind));
    return decoded.get(text);
  }
  function isPressed(chart, name) {
    const button = document.querySelector('[data-toggle="' + name + '"][data-of="' + chart.id + '"]');
    return !!button && button.getAttribute("aria-pressed") === "true";
  }

  const MOST_MARKS = 1200;
  function marks(chart, range) {
    if (!chart.marks) return [];
    const inside = chart.marks.time.map((t, i) => i).filter((i) => chart.marks.time[i] >= range[0] && chart.marks.time[i] <= range[1]);
    const hidden = inside.length > MOST_MARKS;
    const note = document.querySelector('[data-note="' + chart.id + '"]');
    if (note) note.textContent = hidden ? inside.length + " fills in view: zoom in to see them" : "";
    return ["buy", "sell"].map((side) => {
      const own = hidden ? [] : inside.filter((i) => chart.marks.side[i] === side);
      return {
        type: "scatter", mode: "markers", name: side, x: own.map((i) => chart.marks.time[i]), y: own.map((i) => chart.marks.price[i]),
        text: own.map((i) => chart.marks.text[i]), hovertemplate: "%{text}<extra></extra>",
        marker: { symbol: side === "buy" ? "triangle-up" : "triangle-down", size: 9, color: color(side === "buy" ? "$good" : "$bad"), line: { width: 1, color: color("$paper") } },
      };
    });
  }

  function axis(more) {
    const titled = more.title ? { title: Object.assign({ font: { size: 12, color: color("$soft") } }, more.title) } : {};
    return Object.assign({
      gridcolor: color("$line"), linecolor: color("$rule"), zerolinecolor: color("$rule"), tickcolor: color("$rule"),
      zeroline: false, automargin: true, tickfont: { size: 11.5, color: color("$soft") },
    }, more, titled);
  }
  function frame() {
    return {
      paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)", showlegend: false, margin: { l: 8, r: 8, t: 8, b: 8 },
      font: { family: getComputedStyle(document.body).fontFamily, size: 12, color: color("$ink") }, dragmode: coarse ? false : "zoom",
      hoverlabel: { bgcolor: color("$raised"), bordercolor: color("$rule"), font: { color: color("$ink"), size: 12 } },
    };
  }
  const CONFIG = { displayModeBar: false, responsive: true, doubleClick: false, showTips: false };

  function whole() { return [times[0], times[times.length - 1]]; }
  function startOf(chart) {
    const all = whole();
    return chart.days ? [Math.max(all[0], all[1] - chart.days * DAY), all[1]] : all;
  }

  function timeLayout(chart, range) {
    const unit = { percent: ".0%", money: ",.3~s", price: ",.6~g" }[chart.unit] || "";
    const cross = { showspikes: true, spikemode: "across", spikesnap: "cursor", spikethickness: 1, spikedash: "dot", spikecolor: color("$faint") };
    return Object.assign(frame(), {
      // One left edge for all charts of a page, so that times stand under each other.
      hovermode: "x unified", margin: { l: 52, r: 8, t: 8, b: 8 },
      xaxis: axis({ type: "date", range: range, showgrid: false, nticks: innerWidth < 600 ? 5 : 9, rangeslider: { visible: false }, ...cross }),
      yaxis2: { overlaying: "y", side: "right", visible: false, fixedrange: true, range: chart.candles ? [0, 5 * highest(chart, range)] : undefined },
      yaxis: axis({ ...cross, tickformat: unit, fixedrange: true, type: chart.log ? "log" : "linear", dtick: chart.log ? "D2" : undefined, nticks: 6, automargin: false, rangemode: chart.unit === "percent" ? "tozero" : "normal" }),
    });
  }

  // The largest volume in view: its bars take the lowest fifth of the chart.
  function highest(chart, range) {
    const volume = column(chart.candles.volume);
    let most = 1e-12;
    for (let i = position(range[0]); i < Math.min(position(range[1]) + 1, times.length); i++) if (volume[i] > most) most = volume[i];
    return most;
  }

  function rangeOf(group) {
    if (!ranges.has(group)) {
      const first = data.charts.find((chart) => chart.group === group);
      ranges.set(group, first && times.length ? startOf(first) : [0, 0]);
    }
    return ranges.get(group);
  }

  function drawTime(chart, box) {
    if (!times.length) return;
    const range = rangeOf(chart.group);
    views.set(chart.id, { chart: chart, box: box });
    Plotly.react(box, traces(chart, range, box.clientWidth), timeLayout(chart, range), CONFIG);
    if (box.dataset.bound) return;
    box.dataset.bound = "1";
    box.on("plotly_relayout", (change) => {
      if (change["xaxis.range[0]"] === undefined) return;
      show(chart.group, [change["xaxis.range[0]"], change["xaxis.range[1]"]].map(milliseconds), "");
    });
    box.on("plotly_doubleclick", () => show(chart.group, startOf(chart), chart.days ? String(chart.days) : "all"));
  }
  // Plotly tells times as text without a zone; all of ours are UTC.
  function milliseconds(value) {
    return typeof value === "number" ? value : Date.parse(value.replace(" ", "T") + (value.length > 10 ? "Z" : ""));
  }

  function show(group, range, pressed) {
    ranges.set(group, range);
    for (const view of views.values()) {
      if (view.chart.group !== group) continue;
      Plotly.react(view.box, traces(view.chart, range, view.box.clientWidth), timeLayout(view.chart, range), CONFIG);
    }
    for (const button of document.querySelectorAll('[data-group="' + group + '"] button')) {
      button.setAttribute("aria-pressed", String(button.dataset.days === pressed));
    }
    watchers.forEach((watch) => watch(group, range));
  }

  function drawFigure(chart, box) {
    const layout = Object.assign(frame(), painted(chart.layout));
    layout.xaxis = axis(painted(chart.layout.xaxis || {}));
    layout.yaxis = axis(painted(chart.layout.yaxis || {}));
    views.set(chart.id, { chart: chart, box: box });
    Plotly.react(box, painted(chart.traces), layout, CONFIG);
  }

  function draw(box) {
    const chart = data.charts.find((c) => c.id === box.dataset.chart);
    if (chart) (chart.kind === "time" ? drawTime : drawFigure)(chart, box);
  }

  for (const tools of document.querySelectorAll("[data-group]")) {
    tools.addEventListener("click", (event) => {
      const days = event.target.dataset.days;
      if (!days) return;
      const all = whole();
      show(tools.dataset.group, days === "all" ? all : [Math.max(all[0], all[1] - Number(days) * DAY), all[1]], days);
    });
  }
  for (const button of document.querySelectorAll("[data-toggle]")) {
    button.addEventListener("click", () => {
      button.setAttribute("aria-pressed", String(button.getAttribute("aria-pressed") !== "true"));
      const view = views.get(button.dataset.of);
      if (view) draw(view.box);
    });
  }
  const boxes = Array.from(document.querySelectorAll("[data-chart]"));
  const watcher = new IntersectionObserver((seen) => {
    for (const one of seen) {
      if (!one.isIntersecting) continue;
      watcher.unobserve(one.target);
      waiting.push(one.target);
      if (waiting.length === 1) setTimeout(drawNext);
    }
  }, { rootMargin: "400px 0px" });
  // One chart at a time, so that the page answers in between.
  const waiting = [];
  function drawNext() {
    draw(waiting.shift());
    if (waiting.length) setTimeout(drawNext);
  }
  boxes.forEach((box) => watcher.observe(box));
  dark.addEventListener("change", () => views.forEach((view) => draw(view.box)));
  window.forwardtraderCharts = { data: data, times: times, views: views, valuesOf: valuesOf, color: color, whole: whole, rangeOf: rangeOf, show: show, watch: (told) => watchers.push(told) };
  addEventListener("beforeprint", () => boxes.forEach((box) => { watcher.unobserve(box); draw(box); }));
})();
