// The middle of the page: a row a span, its bar in time, and the links as arrows.

const ROW = 24;
const waterfall = { story: [], chosen: null, scale: null, words: "" };
const rows = new Rows(byName("rows"), ROW, spanRow, () => { keepInSight(); drawArrows(); });

function tell(trace) {
  const story = trace ? storyOf(trace) : inTime;
  waterfall.story = story;
  waterfall.trace = trace;
  waterfall.scale = makeScale(story.flatMap((one) => one.spans));
  waterfall.follows = story.length > 1 && !trace;
  const linked = story.length - 1;
  const long = duration(Math.max(...story.map((one) => one.end)) - story[0].start);
  const title = el("b", { text: trace ? plain(trace.name) : "Everything" });
  const more = linked ? ` with ${linked} linked trace${linked > 1 ? "s" : ""}` : "";
  byName("story").replaceChildren(title, trace ? `${more} · ${long} · trace ` : ` · ${story.length} traces · ${long}`,
    el("span", { class: "id", text: trace ? trace.id : "" }));
  listRows();
}

function listRows() {
  const listed = [];
  for (const trace of waterfall.story) {
    let below = Infinity;
    for (const span of trace.rows) {
      if (span.depth > below) continue;
      below = span.open ? Infinity : span.depth;
      listed.push(span);
    }
  }
  waterfall.at = new Map(listed.map((span, at) => [span, at]));
  rows.set(listed);
  drawRuler();
}

function spanRow(span) {
  const { scale, chosen, words } = waterfall;
  const from = place(scale, span.start);
  const wide = Math.max(0, Math.min(2, place(scale, span.end)) - from);
  const hit = words && span.name.toLowerCase().includes(words);
  const row = el("div", {
    class: `row ${span.mood} ${span.depth ? "" : "root"} ${span.cancelled ? "cut" : ""} ${hit ? "hit" : ""}`,
    role: "row", id: `s${span.index}`, "aria-level": span.depth + 1, "aria-selected": String(span === chosen),
    "aria-expanded": span.children.length ? String(span.open) : undefined, style: { "--shade": `var(--${span.side})` },
    on: { click: () => choose(span), dblclick: () => { zoomTo(span); } },
  });
  row.append(nameOf(span), laneOf(span, from, wide));
  return row;
}

function nameOf(span) {
  const label = el("div", { class: "label", role: "gridcell" });
  for (let depth = 0; depth < Math.min(span.depth, 12); depth++) label.append(el("i", { class: "guide" }));
  const folds = span.children.length > 0;
  const fold = (event) => { event.stopPropagation(); toggle(span); };
  label.append(folds ? el("button", { type: "button", tabindex: "-1", text: span.open ? "▼" : "▶", "aria-label": "fold", on: { click: fold } })
    : el("button", { type: "button", tabindex: "-1", disabled: true }));
  const sign = span.mood === "bad" ? "✗ " : span.mood === "warn" ? "! " : "";
  label.append(el("span", { class: "name", text: sign + plain(span.name), title: plain(span.name) }));
  return label;
}

function laneOf(span, from, wide) {
  const lane = el("div", { class: "lane", role: "gridcell" });
  for (const tick of waterfall.marks ?? []) lane.append(el("i", { class: tick.later ? "grid later" : "grid", style: { left: `${tick.at * 100}%` } }));
  lane.append(el("div", { class: "bar", style: { left: `${from * 100}%`, width: `${wide * 100}%` } }));
  for (const event of span.events.slice(0, 64)) lane.append(el("i", { class: "dot", title: plain(event.name), style: { left: `${place(waterfall.scale, event.at) * 100}%` } }));
  lane.append(noteOf(span, from, from + wide));
  return lane;
}

// What the bar took and how it ended: behind the bar, in it where there is no room behind, or else before it.
function noteOf(span, from, to) {
  const parts = [duration(span.end - span.start)];
  if (span.mood) parts.push(span.type ?? (span.cancelled ? "cancelled" : "failed"));
  if (span.links.length > 1) parts.push(`⇠ ${span.links.length} links`);
  else if (span.links.length && !span.links[0].span) parts.push("⇠ a span that is not here");
  const text = plain(parts.join("  "));
  const pixels = byName("ticks").clientWidth;
  const needs = text.length * 6.6 + 16;
  const [left, right] = [Math.max(0, from), Math.min(1, to)];
  const behind = (1 - right) * pixels > needs;
  const inside = !behind && (right - left) * pixels > needs;
  const style = behind ? { left: `${right * 100}%` } : { right: `${(1 - (inside ? right : left)) * 100}%` };
  return el("span", { class: `note ${inside ? "inside" : span.mood}`, text, style });
}

function drawRuler() {
  const box = byName("ticks");
  waterfall.marks = ticks(waterfall.scale, box.clientWidth);
  box.replaceChildren(...waterfall.marks.map((tick) => el("span", { class: tick.later ? "later" : "", text: tick.text, style: { left: `${tick.at * 100}%` } })));
}

// Where there is too much for one window, time moves along with the rows, until the reader chooses a window.
function keepInSight() {
  const { scale, follows } = waterfall;
  if (!follows || !rows.items.length) return;
  const [first, end] = rows.range();
  const inSight = rows.items.slice(first, end);
  const [from, to] = [Math.min(...inSight.map((span) => span.start)), Math.max(...inSight.map((span) => span.end))];
  const before = [scale.from, scale.to];
  show(scale, 0, 1);
  const [left, right] = [place(scale, from), place(scale, to)];
  show(scale, left, Math.max(right, left + 1e-7));
  if (Math.abs(before[0] - scale.from) + Math.abs(before[1] - scale.to) > 1e-9) redraw();
}

function chooseWindow(change) {
  waterfall.follows = false;
  change(waterfall.scale);
  redraw();
}

function redraw() {
  drawRuler();
  rows.draw(true);
}

// An arrow runs from the span that was linked to, which came first, to the one that bears the link.
function drawArrows() {
  const box = byName("rows");
  const svg = byName("arrows");
  const lane = box.querySelector(".lane");
  svg.style.top = `${box.scrollTop}px`;
  svg.setAttribute("height", box.clientHeight);
  const curves = [];
  if (lane) {
    const left = lane.offsetLeft;
    const at = (span) => nearest(span) && { x: left + lane.clientWidth * Math.min(1, Math.max(0, place(waterfall.scale, span.start))), row: waterfall.at.get(nearest(span)) };
    const [first, end] = rows.range();
    const y = (row) => row * ROW - box.scrollTop + ROW / 2;
    for (const [source, target] of linksInSight(first, end)) {
      const [from, to] = [at(source), at(target)];
      if (!from || !to || from.row === to.row) continue;
      from.x = left + lane.clientWidth * Math.min(1, Math.max(0, place(waterfall.scale, source.end)));
      curves.push(curve(from.x, y(from.row), to.x, y(to.row), source === waterfall.chosen || target === waterfall.chosen));
    }
  }
  byName("curves").replaceChildren(...curves);
}

// At most so many: beyond them arrows hide what they point at.
const MOST_ARROWS = 300;

function linksInSight(first, end) {
  const found = new Map();
  const add = (source, target) => found.set(`${source.index} ${target.index}`, [source, target]);
  for (const span of rows.items.slice(first, end)) {
    const hidden = span.open ? [span] : within(span);
    for (const one of hidden) {
      for (const link of one.links) if (link.span) add(link.span, one);
      for (const follower of one.followers) add(one, follower);
    }
    if (found.size > MOST_ARROWS) break;
  }
  return [...found.values()].slice(0, MOST_ARROWS);
}

function within(span) {
  const all = [span];
  for (const one of all) all.push(...one.children);
  return all;
}

function nearest(span) {
  while (span && !waterfall.at.has(span)) span = span.parent;
  return span;
}

function curve(x1, y1, x2, y2, on) {
  const path = document.createElementNS("http://www.w3.org/2000/svg", "path");
  const bend = Math.max(18, Math.min(90, Math.abs(x2 - x1) / 2));
  path.setAttribute("d", `M${x1} ${y1}C${x1 + bend} ${y1} ${x2 - bend} ${y2} ${x2 - 1} ${y2}`);
  path.setAttribute("marker-end", on ? "url(#head-on)" : "url(#head)");
  if (on) path.setAttribute("class", "on");
  return path;
}

function toggle(span, open = !span.open) {
  if (!span.children.length || span.open === open) return;
  span.open = open;
  if (waterfall.chosen && !open && waterfall.chosen !== span && within(span).includes(waterfall.chosen)) choose(span);
  listRows();
}

function zoomTo(span) {
  chooseWindow((scale) => {
    const whole = scale.to - scale.from;
    const [from, to] = [span.start, span.end].map((time) => scale.from + place(scale, time) * whole);
    const room = Math.max((to - from) * 0.1, 1e-7);
    show(scale, from - room, to + room);
  });
}
