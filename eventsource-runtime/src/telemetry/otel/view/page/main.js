// The list of traces, the keys, and what ties the parts together.

const list = new Rows(byName("traces"), 40, traceRow);
const EVERYTHING = null;
for (const [place, trace] of inTime.entries()) trace.place = place;

const optionOf = (trace) => (trace === EVERYTHING ? "everything" : `t${trace.place}`);

function traceRow(trace) {
  const selected = String(trace === waterfall.trace);
  const id = optionOf(trace);
  if (trace === EVERYTHING) {
    return el("div", { id, class: "trace", role: "option", "aria-selected": selected, on: { click: () => tell(EVERYTHING) || refresh() } },
      el("b", { text: "Everything" }), el("small", {}, el("span", { text: `${inTime.length} traces, ${spans.length} spans` })));
  }
  const sign = { bad: "✗ ", warn: "! " }[trace.mood] ?? "";
  const kinds = el("small", {}, el("span", { text: `+${duration(trace.start - inTime[0].start)}` }),
    el("span", { text: `${trace.spans.length} span${trace.spans.length > 1 ? "s" : ""}` }), el("span", { class: trace.mood, text: plain(trace.type ?? "") }), el("span", { text: duration(trace.end - trace.start) }));
  return el("div", { id, class: `trace ${trace.mood}`, role: "option", "aria-selected": selected, on: { click: () => openTrace(trace) } },
    el("b", { text: sign + plain(trace.name), title: plain(trace.name) }), kinds);
}

function refresh() {
  byName("traces").setAttribute("aria-activedescendant", optionOf(waterfall.trace));
  list.draw(true);
  rows.draw(true);
}

function choose(span) {
  waterfall.chosen = span;
  byName("rows").setAttribute("aria-activedescendant", `s${span.index}`);
  showDetails(span);
  rows.draw(true);
  history.replaceState(null, "", `#${span.trace}.${span.id}`);
}

function openTrace(trace) {
  tell(trace);
  goTo(trace.roots[0]);
}

// Leads to a span, in the story that is open if it is part of it.
function goTo(span) {
  const trace = traces.get(span.trace);
  if (!waterfall.story.includes(trace)) tell(trace);
  for (let above = span.parent; above; above = above.parent) above.open = true;
  listRows();
  choose(span);
  rows.reveal(waterfall.at.get(span));
  list.reveal(Math.max(0, list.items.indexOf(waterfall.trace)));
  refresh();
}

function textOf(trace) {
  trace.text ??= trace.spans.map((span) => [span.name, span.trace, span.id, ...[...span.attributes].flat(), ...span.events.flatMap((event) => [event.name, ...event.attributes.flat()])].join("\n")).join("\n").toLowerCase();
  return trace.text;
}

function filter() {
  const words = byName("search").value.trim().toLowerCase();
  const failed = byName("failed").checked;
  waterfall.words = words;
  const found = inTime.filter((trace) => (!failed || trace.mood) && (!words || textOf(trace).includes(words)));
  list.set(words || failed ? found : [EVERYTHING, ...inTime]);
  byName("traces").setAttribute("aria-label", `${found.length} traces`);
  rows.draw(true);
}

function step(by) {
  const at = waterfall.at.get(waterfall.chosen) ?? -1;
  const next = rows.items[Math.min(rows.items.length - 1, Math.max(0, at + by))];
  if (next) { choose(next); rows.reveal(waterfall.at.get(next)); }
}

function stepTrace(by) {
  const at = list.items.indexOf(waterfall.trace) + by;
  const next = list.items[Math.min(list.items.length - 1, Math.max(0, at))];
  if (next) openTrace(next); else { tell(EVERYTHING); list.reveal(0); refresh(); }
}

function nextWhere(is) {
  const from = (waterfall.at.get(waterfall.chosen) ?? -1) + 1;
  const around = [...rows.items.slice(from), ...rows.items.slice(0, from)];
  const next = around.find(is);
  if (next) { choose(next); rows.reveal(waterfall.at.get(next)); }
}

function follow() {
  const { chosen } = waterfall;
  const target = chosen?.followers[0] ?? chosen?.links.find((link) => link.span)?.span;
  if (target) goTo(target);
}

function inward() {
  const { chosen } = waterfall;
  if (chosen?.children.length && !chosen.open) toggle(chosen, true); else if (chosen?.children.length) step(1);
}

function outward() {
  const { chosen } = waterfall;
  if (chosen?.children.length && chosen.open) toggle(chosen, false); else if (chosen?.parent) { choose(chosen.parent); rows.reveal(waterfall.at.get(chosen.parent)); }
}

function scaled(factor) {
  const around = waterfall.chosen ? Math.min(1, Math.max(0, place(waterfall.scale, waterfall.chosen.start))) : 0.5;
  chooseWindow((scale) => zoom(scale, factor, around));
}

const KEYS = [
  [["ArrowDown", "j"], "next span", () => step(1)], [["ArrowUp", "k"], "previous span", () => step(-1)],
  [["ArrowRight"], "unfold, go inward", inward], [["ArrowLeft"], "fold, go outward", outward],
  [["PageDown"], "a page down", () => step(20)], [["PageUp"], "a page up", () => step(-20)],
  [["Home"], "first span", () => step(-Infinity)], [["End"], "last span", () => step(Infinity)],
  [["]"], "next trace", () => stepTrace(1)], [["["], "previous trace", () => stepTrace(-1)],
  [["e"], "next error or rejection", () => nextWhere((span) => span.mood !== "")], [["l"], "follow the link", follow],
  [["Enter"], "details", () => waterfall.chosen && (showDetails(waterfall.chosen), byName("details").focus())],
  [["+", "="], "zoom in", () => scaled(0.6)], [["-"], "zoom out", () => scaled(1 / 0.6)],
  [["z"], "zoom to the span", () => waterfall.chosen && zoomTo(waterfall.chosen)], [["0"], "the whole time", () => chooseWindow((scale) => show(scale, 0, 1))],
  [["f"], "the time of the rows in sight", () => { waterfall.follows = true; redraw(); }],
  [["/"], "filter", () => byName("search").focus()], [["t"], "dark or light", () => document.documentElement.classList.toggle("dark")],
  [["?"], "these keys", () => byName("keys").showModal()], [["Escape"], "close", hideDetails],
];

// Where the list of traces has the focus.
const OF_LIST = { ArrowDown: 1, ArrowUp: -1, PageDown: 10, PageUp: -10, Home: -Infinity, End: Infinity };

function pressed(event) {
  if (event.ctrlKey || event.metaKey || event.altKey || byName("keys").open) return;
  if (event.target.tagName === "INPUT") {
    if (event.key === "Escape" || (event.key === "Enter" && event.target.type === "search")) byName("rows").focus();
    return;
  }
  if (event.target.tagName === "BUTTON" && (event.key === "Enter" || event.key === " ")) return;
  if (event.key in OF_LIST) {
    // The details scroll.
    if (byName("details").contains(event.target)) return;
    if (event.target === byName("traces")) { event.preventDefault(); stepTrace(OF_LIST[event.key]); return; }
  }
  const found = KEYS.find(([keys]) => keys.includes(event.key));
  if (found) { event.preventDefault(); found[2](); }
}

// Drawing over the ruler zooms in; the wheel zooms with Ctrl, and moves sideways with Shift.
function mouse() {
  const box = byName("ticks");
  let from = null;
  const share = (event) => Math.min(1, Math.max(0, (event.clientX - box.getBoundingClientRect().left) / box.clientWidth));
  const veil = el("div");
  box.addEventListener("pointerdown", (event) => { from = share(event); box.setPointerCapture(event.pointerId); });
  box.addEventListener("pointermove", (event) => {
    if (from === null) return;
    const [low, high] = [from, share(event)].sort((a, b) => a - b);
    box.append(veil);
    veil.style.left = `${low * 100}%`;
    veil.style.width = `${(high - low) * 100}%`;
  });
  box.addEventListener("pointerup", (event) => {
    const [low, high] = [from, share(event)].sort((a, b) => a - b);
    from = null;
    if (high - low > 0.005) chooseWindow((scale) => { const whole = scale.to - scale.from; show(scale, scale.from + low * whole, scale.from + high * whole); });
    else redraw();
  });
  box.addEventListener("dblclick", () => chooseWindow((scale) => show(scale, 0, 1)));
  byName("rows").addEventListener("wheel", (event) => {
    if (!event.ctrlKey && !event.shiftKey) return;
    event.preventDefault();
    if (event.ctrlKey) chooseWindow((scale) => zoom(scale, event.deltaY > 0 ? 1.25 : 0.8, share(event)));
    else chooseWindow((scale) => { const by = (scale.to - scale.from) * Math.sign(event.deltaY || event.deltaX) * 0.1; show(scale, scale.from + by, scale.to + by); });
  }, { passive: false });
}

function begin() {
  if (matchMedia("(prefers-color-scheme: dark)").matches) document.documentElement.classList.add("dark");
  const used = Object.keys(SIDES).filter((side) => spans.some((span) => span.side === side));
  byName("legend").append(...used.map((side) => el("li", { text: SIDES[side], style: { "--shade": `var(--${side})` } })));
  const bad = spans.filter((span) => span.mood === "bad").length;
  const left = data.left_out ? ` · ${data.left_out} earlier spans left out` : "";
  byName("summary").textContent = `${spans.length} spans · ${inTime.length} traces · ${bad} with errors${left}${spans.length ? ` · ${moment(inTime[0].start)}` : ""}`;
  byName("keys").append(el("h2", { text: "Keys" }), table(KEYS.map(([keys, what]) => [keys.join("  "), what])),
    el("p", { text: "In the list of traces, the arrows choose a trace; in the details, they scroll. Click a row for its attributes, double-click to zoom to it. Drag over the ruler to zoom in; Ctrl and the wheel zoom, Shift and the wheel move." }),
    el("form", { method: "dialog" }, el("button", { text: "Close" })));
  document.addEventListener("keydown", pressed);
  byName("theme").addEventListener("click", () => document.documentElement.classList.toggle("dark"));
  byName("help").addEventListener("click", () => byName("keys").showModal());
  byName("search").addEventListener("input", filter);
  byName("failed").addEventListener("change", filter);
  if (!spans.length) { byName("story").textContent = "No span has ended yet."; return; }
  mouse();
  new ResizeObserver(redraw).observe(byName("ticks"));
  const [trace, id] = location.hash.slice(1).split(".");
  filter();
  goTo(byId.get(trace + id) ?? inTime[0].roots[0]);
  if (!byId.has(trace + id)) hideDetails();
  byName("rows").focus();
}

begin();
