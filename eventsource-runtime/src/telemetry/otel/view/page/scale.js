// Where a time is between the left and the right edge: idle stretches are folded, so that a projection that ran months
// later stands beside the command that caused it.

const FOLD = 0.06;

// The stretches in which something ran, merged where the pause between them is short.
function stretches(spans) {
  const busy = [];
  for (const span of [...spans].sort((a, b) => a.start - b.start)) {
    const last = busy.at(-1);
    if (last && span.start <= last.end) last.end = Math.max(last.end, span.end);
    else busy.push({ start: span.start, end: span.end });
  }
  const total = busy.reduce((sum, { start, end }) => sum + end - start, 0);
  const merged = [];
  for (const one of busy) {
    const last = merged.at(-1);
    if (last && one.start - last.end <= Math.max(total, 1000)) last.end = one.end; else merged.push({ ...one });
  }
  return merged;
}

function makeScale(spans) {
  const parts = stretches(spans);
  const fold = Math.min(FOLD, 0.5 / Math.max(parts.length - 1, 1));
  const room = 1 - fold * (parts.length - 1);
  const total = parts.reduce((sum, part) => sum + part.end - part.start, 0) || 1;
  let at = 0;
  for (const part of parts) {
    part.from = at;
    part.to = at + (room * (part.end - part.start)) / total;
    at = part.to + fold;
  }
  return { parts, from: 0, to: 1, perUnit: total / room };
}

// The place of a time, 0 and 1 being the edges of what is shown.
function place(scale, time) {
  const part = scale.parts.findLast(({ start }) => time >= start) ?? scale.parts[0];
  const long = part.end - part.start;
  const whole = long ? part.from + ((part.to - part.from) * (Math.min(time, part.end) - part.start)) / long : part.from;
  return (whole - scale.from) / (scale.to - scale.from);
}

function zoom(scale, factor, around = 0.5) {
  const fixed = scale.from + (scale.to - scale.from) * around;
  const wide = Math.min(1, Math.max(1e-7, (scale.to - scale.from) * factor));
  show(scale, fixed - wide * around, fixed + wide * (1 - around));
}

function show(scale, from, to) {
  const wide = Math.min(1, to - from);
  scale.from = Math.min(Math.max(0, from), 1 - wide);
  scale.to = scale.from + wide;
}

function niceStep(least) {
  const power = 10 ** Math.floor(Math.log10(least));
  return [1, 2, 5, 10].find((step) => step * power >= least) * power;
}

// Marks on the ruler: at round times within a stretch, and where a pause was folded.
function ticks(scale, pixels) {
  const begin = scale.parts[0].start;
  const step = niceStep(Math.max(1, (scale.perUnit * (scale.to - scale.from) * 90) / Math.max(pixels, 90)));
  const found = [];
  scale.parts.forEach((part, nth) => {
    const before = scale.parts[nth - 1];
    if (before) found.push({ at: place(scale, part.start), text: `${duration(part.start - before.end)} later`, later: true });
    const visible = Math.max(0, (scale.from - part.from) / (part.to - part.from || 1)) * (part.end - part.start);
    const first = Math.max(nth ? 1 : 0, Math.ceil(visible / step));
    for (let count = first; count * step <= part.end - part.start; count++) {
      const at = place(scale, part.start + count * step);
      if (at > 1) break;
      const offset = nth ? `+${duration(count * step)}` : duration(part.start - begin + count * step);
      found.push({ at, text: count || nth ? offset : "0" });
    }
  });
  const shown = found.filter(({ at }) => at >= 0 && at <= 1);
  const crowds = (tick, other) => other !== tick && other.later && Math.abs(other.at - tick.at) * pixels < 90;
  const enough = shown.filter((tick) => tick.later || !shown.some((other) => crowds(tick, other)));
  // A pause keeps its line where there is no room for its text.
  let free = -1;
  for (const tick of enough.filter((one) => one.later)) if ((tick.at - free) * pixels < 90) tick.text = ""; else free = tick.at;
  return enough;
}
