"use strict";
// Pages of the server: sorting, filtering and comparing runs, curves over each other, and what arrives while a page is open.
(function () {
  const page = document.body.dataset.page;
  const $ = (selector, within) => (within || document).querySelector(selector);
  const $$ = (selector, within) => Array.from((within || document).querySelectorAll(selector));

  // Runs.
  function runsPage() {
    const table = $("#runs");
    if (!table) return;
    const body = table.tBodies[0], field = $("#filter"), chips = $$("[data-chip]"), picked = new Set();
    const state = { kind: "", key: "created", down: true };
    const UP_FIRST = new Set(["name", "verdict"]);

    function value(row, key) {
      const text = row.dataset[key];
      if (key === "name" || key === "verdict") return text || "\uffff";
      return text === undefined || text === "" ? null : Number(text);
    }
    function compare(a, b) {
      const x = value(a, state.key), y = value(b, state.key);
      if (x === null || y === null) return (x === null) - (y === null);  // what is not known comes last, whatever the order
      const order = x < y ? -1 : x > y ? 1 : 0;
      return state.down ? -order : order;
    }
    function show() {
      const words = field.value.toLowerCase().split(/\s+/).filter(Boolean);
      const rows = Array.from(body.rows);
      let shown = 0;
      for (const row of rows) {
        row.hidden = (state.kind && row.dataset.kind !== state.kind) || !words.every((word) => row.dataset.text.includes(word));
        if (!row.hidden) shown++;
      }
      $("#count").textContent = shown === rows.length ? rows.length + (rows.length === 1 ? " run" : " runs") : shown + " of " + rows.length + " runs";
      $("#nothing").hidden = shown > 0;
    }
    function sort() {
      const rows = Array.from(body.rows).sort(compare);
      body.append(...rows);
      for (const head of $$("th", table)) {
        const key = head.firstElementChild && head.firstElementChild.dataset.sort;
        if (key === state.key) head.setAttribute("aria-sort", state.down ? "descending" : "ascending");
        else head.removeAttribute("aria-sort");
      }
    }
    function sortBy(key, again) {
      state.down = again && state.key === key ? !state.down : !UP_FIRST.has(key);
      state.key = key;
      sort();
    }
    function mark() {
      for (const row of body.rows) {
        const box = $("input", row), is = picked.has(row.dataset.folder);
        if (box) { box.checked = is; row.classList.toggle("chosen", is); }
      }
      const bar = $("#comparing"), most = 6, link = $("a", bar);
      bar.hidden = picked.size === 0;
      $("span", bar).textContent = picked.size === 1 ? "1 chosen, choose another" : picked.size > most ? picked.size + " chosen, " + most + " at most" : picked.size + " chosen";
      const able = picked.size >= 2 && picked.size <= most;
      link.setAttribute("aria-disabled", String(!able));
      if (able) link.href = "/compare?" + Array.from(picked, (name) => "run=" + encodeURIComponent(name)).join("&");
      else link.removeAttribute("href");
    }
    table.addEventListener("change", (event) => {
      const folder = event.target.closest("tr").dataset.folder;
      if (event.target.checked) picked.add(folder); else picked.delete(folder);
      mark();
    });
    $("#comparing button").addEventListener("click", () => { picked.clear(); mark(); });
    table.addEventListener("click", (event) => { if (event.target.dataset.sort) sortBy(event.target.dataset.sort, true); });
    $("#sorting").addEventListener("change", (event) => sortBy(event.target.value, false));
    field.addEventListener("input", show);
    for (const chip of chips) {
      chip.addEventListener("click", () => {
        state.kind = chip.dataset.chip;
        for (const each of chips) each.setAttribute("aria-pressed", String(each === chip));
        show();
      });
    }
    show();
    mark();
    return async function refresh() {
      const answer = await fetch("/runs?part=rows");
      if (!answer.ok) return;
      body.innerHTML = await answer.text();
      sort(); show(); mark();
    };
  }

  // Curves over each other.
  const NS = "http://www.w3.org/2000/svg";
  function node(name, attributes) {
    const made = document.createElementNS(NS, name);
    for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
    return made;
  }
  function steps(low, high, wanted) {
    const raw = (high - low) / wanted, power = Math.pow(10, Math.floor(Math.log10(raw)));
    const step = power * [1, 2, 5, 10].find((m) => m * power >= raw);
    const found = [];
    for (let at = Math.ceil(low / step) * step; at <= high + step * 1e-9; at += step) found.push(Math.abs(at) < step / 1e6 ? 0 : at);
    return found;
  }
  const percent = (x, digits) => (x > 0 ? "+" : x < 0 ? "\u2212" : "") + Math.abs(x * 100).toLocaleString("en", { minimumFractionDigits: digits, maximumFractionDigits: digits }) + " %";
  const day = (ms) => new Date(ms).toISOString().slice(0, 10);

  function overlay() {
    const box = $("#overlay");
    if (!box) return;
    const curves = JSON.parse($("#curves").textContent);
    const drawn = curves.filter((curve) => curve.times.length > 1);
    if (!drawn.length) { box.textContent = "None of these runs has an equity table."; return; }
    const first = Math.min(...drawn.map((c) => c.times[0])), last = Math.max(...drawn.map((c) => c.times[c.times.length - 1]));
    let low = 0, high = 0;
    for (const curve of drawn) for (const value of curve.growth) { if (value < low) low = value; if (value > high) high = value; }
    const pad = (high - low || 0.01) * 0.06;
    low -= pad; high += pad;

    function draw() {
      const width = box.clientWidth, height = box.clientHeight, left = 54, right = 6, top = 8, bottom = 24;
      const x = (t) => left + (t - first) / (last - first || 1) * (width - left - right);
      const y = (v) => top + (high - v) / (high - low) * (height - top - bottom);
      const svg = node("svg", { viewBox: "0 0 " + width + " " + height, "aria-hidden": "true" });
      const ticks = steps(low, high, height / 70), digits = ticks.length > 1 && ticks[1] - ticks[0] < 0.01 ? 1 : 0;
      for (const value of ticks) {
        svg.append(node("line", { x1: left, x2: width - right, y1: y(value), y2: y(value), class: value === 0 ? "grid zero" : "grid" }));
        const text = node("text", { x: left - 8, y: y(value) + 4, "text-anchor": "end" });
        text.textContent = percent(value, digits);
        svg.append(text);
      }
      const marks = Math.max(2, Math.floor(width / 170));
      for (let i = 0; i <= marks; i++) {
        const at = first + (last - first) * i / marks, text = node("text", { x: x(at), y: height - 6, "text-anchor": i === 0 ? "start" : i === marks ? "end" : "middle" });
        text.textContent = day(at);
        svg.append(text);
      }
      curves.forEach((curve, n) => {
        const path = curve.times.map((t, i) => (i ? "L" : "M") + x(t).toFixed(1) + " " + y(curve.growth[i]).toFixed(1)).join("");
        svg.append(node("path", { d: path, class: "curve c" + (n + 1) }));
      });
      const cross = node("line", { y1: top, y2: height - bottom, class: "cross", visibility: "hidden" });
      svg.append(cross);
      const tip = document.createElement("div");
      tip.className = "tip";
      tip.hidden = true;
      box.replaceChildren(svg, tip);
      box.onpointermove = (event) => {
        const at = Math.min(width - right, Math.max(left, event.clientX - box.getBoundingClientRect().left));
        const time = first + (at - left) / (width - left - right) * (last - first);
        cross.setAttribute("x1", at); cross.setAttribute("x2", at); cross.setAttribute("visibility", "visible");
        const head = document.createElement("b");
        head.textContent = day(time);
        const lines = curves.map((curve, n) => {
          const line = document.createElement("div"), key = document.createElement("i");
          key.className = "c" + (n + 1);
          line.append(key, (n + 1) + "  " + told(curve, time));
          return line;
        });
        tip.replaceChildren(head, ...lines);
        tip.hidden = false;
        const gap = 14, far = at + gap + tip.offsetWidth > width;
        tip.style.left = Math.max(0, far ? at - gap - tip.offsetWidth : at + gap) + "px";
      };
      box.onpointerleave = () => { tip.hidden = true; cross.setAttribute("visibility", "hidden"); };
    }
    function told(curve, time) {
      const times = curve.times;
      if (!times.length || time < times[0] || time > times[times.length - 1]) return "\u2013";
      let from = 0, to = times.length - 1;
      while (from < to) { const middle = (from + to + 1) >> 1; if (times[middle] <= time) from = middle; else to = middle - 1; }
      return percent(curve.growth[from], 1);
    }
    draw();
    let waiting = 0;
    addEventListener("resize", () => { cancelAnimationFrame(waiting); waiting = requestAnimationFrame(draw); });
  }

  // Sessions.
  const SAYS = {
    pause: ["Pause", "Nothing adds to a position any more. Stops stay, and what is held is kept."],
    resume: ["Resume", "The session may trade again. A kill or a halt is lifted."],
    flatten: ["Flatten", "All orders are cancelled and everything held is sold at the market. Then the session pauses."],
    kill: ["Kill", "No order leaves the session any more, and it ends. What is held is kept, without its stops. It will not start until it is resumed."],
  };
  let ahead = 0;  // of this device's clock, the server's
  function span(ms) {
    const s = Math.max(0, Math.round(ms / 1000));
    return s < 60 ? s + " s" : s < 3600 ? Math.floor(s / 60) + " min " + (s < 600 ? s % 60 + " s" : "") : s < 172800 ? Math.floor(s / 3600) + " h " + Math.floor(s % 3600 / 60) + " min" : Math.floor(s / 86400) + " days";
  }
  function ages() {
    const now = Date.now() + ahead;
    for (const each of $$("time.age")) {
      const text = span(now - Number(each.dataset.at)).trim() + " ago";
      if (each.textContent !== text) each.textContent = text;
    }
    for (const each of $$("time.until")) {
      const left = Number(each.dataset.at) - now, text = left >= 0 ? "in " + span(left).trim() : span(-left).trim() + " overdue";
      if (each.textContent !== text) each.textContent = text;
    }
  }
  function sessionsPage() {
    const box = $("#sessions"), dialog = $("#confirm"), none = $("#none");
    const [no, yes] = $$(".choices button", dialog), answer = $("#confirm-answer");
    let meant = null;
    const cardOf = (name) => $$("article", box).find((each) => each.dataset.session === name);

    box.addEventListener("click", (event) => {
      const verb = event.target.dataset.verb;
      if (!verb) return;
      meant = { verb: verb, name: event.target.closest("article").dataset.session };
      const [word, text] = SAYS[verb];
      $("#confirm-title").textContent = word + " " + meant.name + "?";
      $("#confirm-text").textContent = text + (event.target.dataset.live === "real" ? " This session trades real money." : "");
      yes.textContent = word;
      yes.className = verb === "flatten" || verb === "kill" ? "first danger" : "first";
      yes.hidden = false; yes.disabled = false;
      no.textContent = "Cancel";
      answer.hidden = true;
      dialog.showModal();
      no.focus();
    });
    no.addEventListener("click", () => dialog.close());
    yes.addEventListener("click", async () => {
      const asked = meant;
      yes.disabled = true;
      tell("Sent. Waiting for the session \u2026", "");
      const said = await post("/sessions/" + encodeURIComponent(asked.name) + "/" + asked.verb, {});
      if (meant !== asked || !dialog.open) return;
      yes.hidden = true;
      no.textContent = "Close";
      tell((said.obeyed ? "Obeyed: " : "Not obeyed: ") + said.text, said.obeyed ? "good" : "none");
    });
    function tell(text, tone) {
      answer.hidden = false;
      answer.textContent = text;
      answer.className = "missing" + (tone ? " tone-" + tone : "");
    }
    return function update(one) {
      const old = cardOf(one.name);
      if (!one.html) { if (old) old.remove(); }
      else {
        const made = document.createElement("template");
        made.innerHTML = one.html;
        const card = made.content.firstElementChild;
        if (old && old.dataset.rank === card.dataset.rank) {
          // Buttons that stay the same stay where they are, so that none is taken away under a finger.
          const kept = $(".commands", old), fresh = $(".commands", card);
          if (kept && fresh && kept.innerHTML === fresh.innerHTML) {
            for (const each of Array.from(old.children)) if (each !== kept) each.remove();
            for (const each of Array.from(card.children)) if (each !== fresh) old.insertBefore(each, kept);
            old.className = card.className;
          } else old.replaceWith(card);
        } else {
          if (old) old.remove();
          const after = $$("article", box).find((each) => each.dataset.rank >= card.dataset.rank);
          if (after) after.before(card); else box.append(card);
        }
      }
      none.hidden = box.childElementCount > 0;
      ages();
    };
  }

  async function post(path, content) {
    try {
      const token = $("meta[name=form-token]").content;
      const answer = await fetch(path, { method: "POST", headers: { "Content-Type": "application/json", "X-Form-Token": token }, body: JSON.stringify(content) });
      const kind = answer.headers.get("content-type") || "";
      if (kind.startsWith("application/json")) return await answer.json();
      return { obeyed: false, text: (await answer.text()).trim() };
    } catch (error) {
      return { obeyed: false, text: "the server does not answer; look at the session before you try again" };
    }
  }

  // What arrives.
  function listen(parts) {
    const link = $("#link"), text = $("span", link);
    function says(state, words) { link.dataset.state = state; text.textContent = words; }
    let source = null, opened = false;
    // A browser opens six connections to a server at most: a page that nobody looks at gives its own back.
    function open() {
      source = new EventSource("/events");
      source.onopen = () => {
        says("live", "live");
        if (opened) for (const take of Object.values(parts)) if (take && take.length === 0) take();  // what it may have missed
        opened = true;
      };
      source.onerror = () => says("lost", source.readyState === EventSource.CLOSED ? "not connected: reload" : "no connection");
      source.addEventListener("clock", (event) => { ahead = JSON.parse(event.data) - Date.now(); ages(); });
      for (const [name, take] of Object.entries(parts)) if (take) source.addEventListener(name, (event) => take(JSON.parse(event.data)));
    }
    document.addEventListener("visibilitychange", () => {
      if (document.hidden && source) { source.close(); source = null; } else if (!document.hidden && !source) open();
    });
    open();
  }

  // Models: told that something changed, the page asks for it.
  function modelsPage() {
    return async function refresh() {
      const answer = await fetch("/models?part=markets");
      if (answer.ok) $("#markets").innerHTML = await answer.text();
    };
  }

  // A backtest.
  function backtestPage() {
    const form = $("#form"), refusal = $("#refusal"), button = $("button", form), state = $("#state");
    function refuse(text) { refusal.textContent = text; refusal.hidden = !text; }
    form.addEventListener("submit", async (event) => {
      event.preventDefault();
      button.disabled = true;
      refuse("");
      const answer = await post("/backtest/start", Object.fromEntries(new FormData(form)));
      button.disabled = false;
      if (answer.obeyed) scrollTo({ top: 0 }); else refuse(answer.text);
    });
    state.addEventListener("click", async (event) => {
      if (!("stop" in event.target.dataset)) return;
      event.target.disabled = true;
      const answer = await post("/backtest/stop", {});
      if (!answer.obeyed) refuse(answer.text);
    });
    return function update(html) {
      const open = $("details[open]", state) !== null;
      state.innerHTML = html;
      if (open && $("details", state)) $("details", state).open = true;
      ages();
    };
  }

  const parts = {};
  if (page === "runs") { parts.runs = runsPage(); overlay(); }
  if (page === "sessions") parts.session = sessionsPage();
  if (page === "models") parts.models = modelsPage();
  if (page === "backtest") parts.backtest = backtestPage();
  if (page) { listen(parts); ages(); setInterval(ages, 1000); }
})();
