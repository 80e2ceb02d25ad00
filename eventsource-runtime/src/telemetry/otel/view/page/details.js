// The right side: all that a span carries.

// A key may break where its parts meet.
function keyOf(key) {
  const parts = key.split(/(?<=[._])/).flatMap((part) => [shown(part), el("wbr")]);
  return el("th", { scope: "row" }, ...parts);
}

function table(pairs) {
  const lines = [...pairs].map(([key, value]) => el("tr", {}, keyOf(key), el("td", {}, shown(value))));
  return el("table", {}, el("tbody", {}, ...lines));
}

function section(title, ...content) {
  return [el("h3", { text: title }), ...content];
}

function failureOf(span) {
  if (!span.mood) return null;
  const what = span.error !== null ? `✗ ${span.type ?? "failed"}` : span.type ? `! ${span.type}` : "! cancelled: its future was dropped";
  return el("p", { class: span.mood === "bad" ? "failure bad" : "warn" }, shown(span.error ? `${what}: ${span.error}` : what));
}

function linkTo(span, from) {
  const gap = span.start >= from.end ? span.start - from.end : from.start - span.end;
  const when = gap < 0 ? "at the same time" : `${duration(gap)} ${span.start >= from.end ? "later" : "earlier"}`;
  return el("button", { type: "button", class: "link", "data-span": span.id, on: { click: () => goTo(span) } },
    el("span", { text: plain(span.name) }), el("small", { text: `${when} · ${plain(traces.get(span.trace).name)}` }));
}

function ownLink(link, span) {
  const target = link.span ? linkTo(link.span, span)
    : el("button", { type: "button", class: "link", disabled: true }, el("span", { text: `span ${link.id}` }), el("small", { text: `trace ${link.trace}, which is not here` }));
  const about = link.attributes.map(([key, value]) => `${key}=${value}`).join("  ");
  if (about) target.append(el("small", {}, shown(about)));
  return target;
}

// A batch has a link an event: the first ones stand for all.
const MOST_LINKS = 200;

function listOf(title, all, make) {
  if (!all.length) return [];
  const more = all.length > MOST_LINKS ? [el("p", { text: `… and ${all.length - MOST_LINKS} more` })] : [];
  return section(`${title} (${all.length})`, ...all.slice(0, MOST_LINKS).map(make), ...more);
}

function eventOf(event, span) {
  const parts = [el("p", {}, el("b", {}, shown(event.name)), ` +${duration(event.at - span.start)}`)];
  if (event.attributes.length) parts.push(table(event.attributes));
  return el("div", {}, ...parts);
}

function lostOf(span) {
  const names = ["attributes", "span events", "links"];
  const lost = span.lost.map((count, at) => (count ? `${count} ${names[at]}` : "")).filter(Boolean);
  return lost.length ? el("p", { class: "warn", text: `Beyond the limits, and lost: ${lost.join(", ")}.` }) : null;
}

function showDetails(span) {
  const box = byName("details");
  const facts = [
    ["took", duration(span.end - span.start)], ["began", moment(span.start)], ["kind", span.kind], ["side", SIDES[span.side]],
    ["parent", span.parent ? span.parent.name : /^0*$/.test(span.parentId) ? "none: it is a root" : `${span.parentId}${span.remote ? ", in another process" : ", which is not here"}`],
    ["span", span.id], ["trace", span.trace], ["scope", span.scope],
  ];
  box.replaceChildren(
    el("button", { type: "button", class: "close", "aria-label": "Close", title: "Close (Esc)", text: "×", on: { click: hideDetails } }),
    el("h2", {}, shown(span.name)),
    ...[failureOf(span), lostOf(span)].filter(Boolean),
    ...(span.attributes.size ? section("Attributes", table(span.attributes)) : []),
    ...listOf("Leads back to", span.links, (link) => ownLink(link, span)),
    ...listOf("Leads on to", span.followers, (follower) => linkTo(follower, span)),
    ...listOf("Span events", span.events, (event) => eventOf(event, span)),
    ...section("Span", table(facts)),
  );
  box.scrollTop = 0;
  box.hidden = false;
}

function hideDetails() {
  byName("details").hidden = true;
  byName("rows").focus();
}
