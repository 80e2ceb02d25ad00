"use strict";
// What the page is about: spans with their parents, links in both directions, and the traces and stories that they make.

const KINDS = ["internal", "server", "client", "producer", "consumer"];
const SIDES = { write: "write side", projection: "projection", read: "read side", store: "store", bus: "message bus", own: "your code" };

const data = JSON.parse(document.getElementById("data").textContent);

function attributesOf(pairs) {
  return pairs.map(([key, value]) => [data.texts[key], value]);
}

function sideOf(span) {
  const given = span.attributes.get("cqrs.side");
  if (/^(event|snapshot)_store\./.test(span.name) || (!given && span.attributes.has("db.system.name"))) return "store";
  if (/^event_bus\./.test(span.name) || span.attributes.has("messaging.system")) return "bus";
  return given in SIDES ? given : "own";
}

function readSpan(raw, index) {
  const span = {
    index, trace: data.texts[raw.t], id: raw.i, parentId: raw.p, remote: raw.r === 1, name: data.texts[raw.n], kind: KINDS[raw.k],
    start: raw.b, end: raw.b + raw.d, error: raw.s ?? null, attributes: new Map(attributesOf(raw.a)), lost: raw.x ?? [0, 0, 0],
    events: (raw.e ?? []).map(([at, name, pairs]) => ({ at, name: data.texts[name], attributes: attributesOf(pairs) })),
    links: (raw.l ?? []).map(([trace, id, pairs]) => ({ trace: data.texts[trace], id, attributes: attributesOf(pairs), span: null })),
    scope: data.texts[raw.o], parent: null, children: [], followers: [], open: true, depth: 0,
  };
  span.side = sideOf(span);
  span.type = span.attributes.get("error.type") ?? null;
  span.cancelled = span.attributes.get("eventsource.cancelled") === true;
  span.mood = span.error !== null ? "bad" : span.type || span.cancelled ? "warn" : "";
  return span;
}

const spans = data.spans.map(readSpan);
const byId = new Map(spans.map((span) => [span.trace + span.id, span]));
const traces = new Map();

for (const span of spans) {
  const parent = byId.get(span.trace + span.parentId);
  if (parent && parent !== span) { span.parent = parent; parent.children.push(span); }
  for (const link of span.links) {
    link.span = byId.get(link.trace + link.id) ?? null;
    if (link.span && link.span !== span) link.span.followers.push(span);
  }
  if (!traces.has(span.trace)) traces.set(span.trace, { id: span.trace, spans: [], roots: [], rows: [] });
  traces.get(span.trace).spans.push(span);
}

// Depth first, siblings by time. Ids that lead in a circle come from nowhere good, but are shown.
function layOut(trace) {
  const seen = new Set();
  const place = (root) => {
    const stack = [[root, 0]];
    while (stack.length) {
      const [span, depth] = stack.pop();
      if (seen.has(span)) continue;
      seen.add(span);
      span.depth = depth;
      trace.rows.push(span);
      for (const child of [...span.children].sort((a, b) => b.start - a.start || b.index - a.index)) stack.push([child, depth + 1]);
    }
  };
  const inOrder = [...trace.spans].sort((a, b) => a.start - b.start || a.index - b.index);
  trace.roots = inOrder.filter((span) => !span.parent);
  trace.roots.forEach(place);
  for (const span of inOrder) {
    if (seen.has(span)) continue;
    span.parent.children = span.parent.children.filter((child) => child !== span);
    span.parent = null;
    trace.roots.push(span);
    place(span);
  }
  trace.start = inOrder[0].start;
  trace.end = inOrder.reduce((end, span) => Math.max(end, span.end), trace.start);
  trace.name = trace.roots[0].name;
  trace.type = trace.rows.find((span) => span.type)?.type;
  trace.mood = trace.spans.some((span) => span.mood === "bad") ? "bad" : trace.spans.some((span) => span.mood) ? "warn" : "";
}

for (const trace of traces.values()) layOut(trace);
const inTime = [...traces.values()].sort((a, b) => a.start - b.start);

// A trace, all that links to it, what links to that, and what it links to in turn: never the neighbours of either.
function storyOf(trace) {
  const story = new Set([trace]);
  const follow = (next) => {
    const queue = [trace];
    while (queue.length) {
      for (const span of queue.pop().spans) {
        for (const other of next(span)) {
          const found = traces.get(other.trace);
          if (!story.has(found)) { story.add(found); queue.push(found); }
        }
      }
    }
  };
  follow((span) => span.followers);
  follow((span) => span.links.flatMap((link) => link.span ?? []));
  return inTime.filter((one) => story.has(one));
}

// Text that cannot reorder, hide or fake what stands around it: such characters are spelled out.
const UNSEEN = /[\p{Cc}\p{Cf}\p{Co}\p{Cn}\p{Cs}\u2028\u2029]/u;

function pieces(text) {
  const found = [];
  for (const character of text) {
    const unseen = UNSEEN.test(character) && character !== "\n";
    const shown = unseen ? `\\u{${character.codePointAt(0).toString(16)}}` : character;
    const last = found.at(-1);
    if (last && last.unseen === unseen) last.text += shown; else found.push({ unseen, text: shown });
  }
  return found;
}

function plain(text) {
  return UNSEEN.test(text) ? pieces(text.replaceAll("\n", "⏎")).map((piece) => piece.text).join("") : text;
}

function duration(nanoseconds) {
  const units = [[86400e9, "d"], [3600e9, "h"], [60e9, "min"], [1e9, "s"], [1e6, "ms"], [1e3, "µs"]];
  const [size, unit] = units.find(([size]) => Math.abs(nanoseconds) >= size) ?? [1, "ns"];
  const amount = nanoseconds / size;
  return `${amount >= 100 || Number.isInteger(amount) ? Math.round(amount) : Number(amount.toPrecision(3))} ${unit}`;
}

function moment(nanoseconds) {
  const at = new Date(data.epoch + nanoseconds / 1e6);
  return Number.isNaN(at.getTime()) ? "?" : at.toISOString();
}
