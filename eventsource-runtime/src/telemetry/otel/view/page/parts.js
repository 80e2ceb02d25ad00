// Elements, and lists of which only what is in sight exists. Text goes in as text alone.

const byName = (id) => document.getElementById(id);

function el(tag, properties = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (value === undefined || value === false) continue;
    if (name === "on") for (const [event, act] of Object.entries(value)) element.addEventListener(event, act);
    else if (name === "style") for (const [key, one] of Object.entries(value)) element.style.setProperty(key, one);
    else if (name === "text") element.textContent = value;
    else element.setAttribute(name, value === true ? "" : value);
  }
  element.append(...children.filter((child) => child !== null));
  return element;
}

// A value with what is unseen in it spelled out and marked.
function shown(value) {
  const text = Array.isArray(value) ? value.join("\n") : String(value);
  const parts = pieces(text).map((piece) => (piece.unseen ? el("mark", { text: piece.text }) : piece.text));
  const holder = document.createDocumentFragment();
  holder.append(...parts);
  return holder;
}

// Rows of equal height in a scrolling box.
class Rows {
  constructor(box, height, make, after = () => {}) {
    Object.assign(this, { box, height, make, after, items: [], made: new Map(), due: false });
    this.space = box.querySelector(".space");
    box.addEventListener("scroll", () => this.draw());
    new ResizeObserver(() => this.draw(true)).observe(box);
  }

  set(items) {
    this.items = items;
    this.space.style.height = `${items.length * this.height + 12}px`;
    this.draw(true);
  }

  range(margin = 0) {
    const first = Math.max(0, Math.floor(this.box.scrollTop / this.height) - margin);
    const count = Math.ceil(this.box.clientHeight / this.height) + 2 * margin + 1;
    return [first, Math.min(this.items.length, first + count)];
  }

  draw(anew = false) {
    this.anew ||= anew;
    if (this.due) return;
    this.due = true;
    requestAnimationFrame(() => {
      this.due = false;
      this.paint(this.anew);
      this.anew = false;
    });
  }

  paint(anew) {
    const [first, end] = this.range(8);
    for (const [at, element] of this.made) if (anew || at < first || at >= end) { element.remove(); this.made.delete(at); }
    for (let at = first; at < end; at++) {
      if (this.made.has(at)) continue;
      const element = this.make(this.items[at], at);
      element.style.top = `${at * this.height}px`;
      this.made.set(at, element);
      this.box.append(element);
    }
    this.after();
  }

  reveal(at) {
    const top = at * this.height;
    const room = this.box.clientHeight - this.height;
    if (top < this.box.scrollTop) this.box.scrollTop = Math.max(0, top - 2 * this.height);
    else if (top > this.box.scrollTop + room) this.box.scrollTop = top - room + 2 * this.height;
  }
}
