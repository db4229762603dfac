"use strict";
// The table of all round trips: sorted by any column, a page at a time, as CSV, and each one leads to its place on the chart.
(function () {
  const charts = window.forwardtraderCharts, place = document.querySelector("[data-trips]");
  if (!charts || !place || !charts.data.trips) return;
  const trips = charts.data.trips, PAGE = 25;
  const moment = (value) => new Date(value).toISOString().slice(0, 16).replace("T", " ");
  const plain = (value, digits) => value.toLocaleString("en-US", { minimumFractionDigits: digits, maximumFractionDigits: digits }).replace("-", "\u2212");
  const price = (value) => plain(value, Math.abs(value) >= 100 ? 2 : Math.abs(value) >= 1 ? 4 : 6);
  const signed = (value) => (value > 0 ? "+" : "") + plain(100 * value, 2) + " %";
  const COLUMNS = [
    ["opened", "Opened", moment, ""], ["closed", "Closed", moment, "text"], ["symbol", "Symbol", String, "text"], ["side", "Side", String, "text"],
    ["size", "Size", (value) => plain(value, 5), ""], ["entry", "Entry", price, ""], ["exit", "Exit", price, ""],
    ["profit", "Profit", (value) => plain(value, 2), ""], ["gain", "Gain", signed, ""],
  ];
  const order = trips.opened.map((_, i) => i);
  let key = "opened", down = true, page = 0;

  function sort() {
    const values = trips[key];
    const compare = typeof values[0] === "string" ? (a, b) => values[a].localeCompare(values[b]) : (a, b) => values[a] - values[b];
    order.sort((a, b) => (down ? -1 : 1) * compare(a, b) || a - b);
  }

  function node(name, more, ...children) {
    const made = Object.assign(document.createElement(name), more);
    made.append(...children);
    return made;
  }

  function head([name, label, , kind]) {
    const button = node("button", { type: "button", onclick: () => { down = key === name ? !down : true; key = name; page = 0; sort(); draw(); } }, label);
    const cell = node("th", { className: kind, scope: "col" }, button);
    if (key === name) cell.setAttribute("aria-sort", down ? "descending" : "ascending");
    return cell;
  }

  function row(i) {
    const line = node("tr", {}, ...COLUMNS.map(([name, , format, kind]) => {
      const value = trips[name][i], way = name === "profit" || name === "gain" ? (value > 0 ? " up" : value < 0 ? " down" : "") : "";
      const text = value === null ? "\u2013" : format(value);
      return node("td", { className: kind + way }, name === "opened" ? node("button", { type: "button", title: "Show on the chart", onclick: () => jump(i) }, text) : text);
    }));
    return line;
  }

  // The trade in the middle of the price chart, with as much before and after it.
  function jump(i) {
    const times = charts.times, bar = times.length > 1 ? (times[times.length - 1] - times[0]) / (times.length - 1) : 3600000;
    const beside = Math.max((trips.closed[i] - trips.opened[i]) / 2, 24 * bar), all = charts.whole();
    charts.show("price", [Math.max(trips.opened[i] - beside, all[0]), Math.min(trips.closed[i] + beside, all[1])], "");
    const chart = Array.from(document.querySelectorAll("[data-chart]")).find((box) => box.dataset.chart === "price:" + trips.symbol[i]);
    if (chart) chart.scrollIntoView({ block: "center" });
  }

  // A text that a spreadsheet would take for a formula is put in front of a quote.
  function csv() {
    const cell = (value) => { const text = String(value); return /[",\n]/.test(text) ? '"' + text.replace(/"/g, '""') + '"' : /^[=+@]/.test(text) ? "'" + text : text; };
    const lines = order.map((i) => COLUMNS.map(([name]) => cell(name === "opened" || name === "closed" ? new Date(trips[name][i]).toISOString() : trips[name][i])).join(","));
    const url = URL.createObjectURL(new Blob([[COLUMNS.map(([name]) => name).join(","), ...lines].join("\n") + "\n"], { type: "text/csv" }));
    node("a", { href: url, download: "trades.csv" }).click();
    setTimeout(() => URL.revokeObjectURL(url), 1000);
  }

  function draw() {
    const pages = Math.max(1, Math.ceil(order.length / PAGE));
    page = Math.min(Math.max(page, 0), pages - 1);
    const turn = (label, said, to) => node("button", { type: "button", ariaLabel: said, disabled: to < 0 || to >= pages, onclick: () => { page = to; draw(); } }, label);
    const table = node("table", { className: "sorted" }, node("thead", {}, node("tr", {}, ...COLUMNS.map(head))), node("tbody", {}, ...order.slice(page * PAGE, (page + 1) * PAGE).map(row)));
    const tools = node("div", { className: "tools" }, turn("\u2190", "earlier page", page - 1), turn("\u2192", "later page", page + 1), node("span", {}, (page + 1) + " of " + pages), node("button", { type: "button", onclick: csv }, "CSV"));
    const box = node("div", { className: "box", tabIndex: 0 }, table);
    place.replaceChildren(tools, box);
  }
  sort();
  draw();
})();
