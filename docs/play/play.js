// Draws what geometry.js says: the two sides, the kernel, what a cell is joined with, sizes and overlap. The settings
// live in the form and in the address (#op=…&kernel=4,4&…), so that a page can link to a picture.
"use strict";

const NAMES = ["size", "kernel", "stride", "padding", "output_padding", "dilation"];
const FIRST = { op: "conv_transpose2d", size: [4, 4], kernel: [3, 3], stride: [2, 2], padding: [1, 1], output_padding: [1, 1], dilation: [1, 1] };
const EXAMPLES = [
  ["U-Net up: 2×2, stride 2", { ...FIRST, kernel: [2, 2], padding: [0, 0], output_padding: [0, 0] }],
  ["DCGAN: 4×4, stride 2", { ...FIRST, kernel: [4, 4], output_padding: [0, 0] }],
  ["checkerboard: 3×3, stride 2", { ...FIRST }],
  ["holes: 2×2, stride 3", { ...FIRST, kernel: [2, 2], stride: [3, 3], padding: [0, 0], output_padding: [2, 2] }],
  ["dilated 3×3", { ...FIRST, stride: [1, 1], dilation: [2, 2], padding: [2, 2], output_padding: [0, 0], size: [6, 6] }],
  ["conv2d: 3×3, stride 2 on 8 (one row unread)", { ...FIRST, op: "conv2d", size: [8, 8], padding: [0, 0], output_padding: [0, 0] }],
  ["output_padding too large", { ...FIRST, output_padding: [2, 2] }],
];
const CELL = 26;
const form = document.getElementById("settings");
const element = (id) => document.getElementById(id);
let state = FIRST, geometry = null, held = null;

function read() {
  const number = (name) => (form.elements[name].value === "" ? NaN : Number(form.elements[name].value));
  const next = { op: form.elements.op.value };
  for (const name of NAMES) next[name] = [number(name), number(name + "2")];
  return next;
}

function write(next) {
  form.elements.op.value = next.op;
  for (const name of NAMES) {
    form.elements[name].value = next[name][0];
    form.elements[name + "2"].value = next[name][1];
  }
}

function toHash(s) {
  return "#op=" + s.op + NAMES.map((name) => `&${name}=${s[name].join(",")}`).join("");
}

function fromHash(hash) {
  const fields = new URLSearchParams(hash.replace(/^#/, ""));
  if (!fields.has("op")) return null;
  const next = { ...FIRST, op: fields.get("op") === "conv2d" ? "conv2d" : "conv_transpose2d" };
  for (const name of NAMES) {
    if (!fields.has(name)) continue;
    const values = fields.get(name).split(",").map(Number);
    next[name] = [values[0], values.length > 1 ? values[1] : values[0]];
  }
  return next;
}

const axisOf = (s, i) => Object.fromEntries(NAMES.map((name) => [name, s[name][i]]));

/** A grid of cells from row and column `from` on; describe(row, column) gives {kind, text, title}. */
function grid(svg, rows, columns, from, describe, onPoint) {
  const ns = "http://www.w3.org/2000/svg";
  svg.replaceChildren();
  svg.setAttribute("width", columns * CELL + 2);
  svg.setAttribute("height", rows * CELL + 2);
  svg.setAttribute("viewBox", `-1 -1 ${columns * CELL + 2} ${rows * CELL + 2}`);
  for (let i = 0; i < rows; ++i)
    for (let j = 0; j < columns; ++j) {
      const row = from[0] + i, column = from[1] + j;
      const { kind, text, fill } = describe(row, column);
      const group = document.createElementNS(ns, "g");
      group.setAttribute("class", kind);
      group.dataset.at = `${row},${column}`;
      const rect = document.createElementNS(ns, "rect");
      for (const [name, value] of [["x", j * CELL + 1], ["y", i * CELL + 1], ["width", CELL - 2], ["height", CELL - 2], ["rx", 3]])
        rect.setAttribute(name, value);
      if (fill) rect.style.fill = fill;
      group.append(rect);
      if (text !== undefined && text !== "") {
        const label = document.createElementNS(ns, "text");
        label.setAttribute("x", (j + 0.5) * CELL);
        label.setAttribute("y", (i + 0.5) * CELL);
        label.textContent = text;
        group.append(label);
      }
      if (onPoint && !kind.includes("ghost")) {
        group.addEventListener("pointerenter", () => onPoint(row, column));
        group.addEventListener("click", () => onPoint(row, column));
      }
      svg.append(group);
    }
}

/** What the held cell is joined with: pairs of cells on the other side, each with its tap. */
function joins() {
  if (!held) return [];
  const list = held.side === "small" ? Geometry.ofSmall : Geometry.ofLarge;
  const pairs = [];
  for (const h of list(geometry[0], held.row))
    for (const w of list(geometry[1], held.column)) pairs.push({ row: h.cell, column: w.cell, tap: [h.tap, w.tap] });
  return pairs;
}

const at = (name, row, column) => `${name}[${row},${column}]`;

function drawSides() {
  const [h, w] = geometry;
  const pairs = joins();
  const tapOf = new Map(pairs.map((p) => [`${p.row},${p.column}`, `${p.tap[0]},${p.tap[1]}`]));
  const mark = (side, row, column) => {
    if (!held) return "";
    if (held.side === side) return held.row === row && held.column === column ? " held" : "";
    return tapOf.has(`${row},${column}`) ? " joined" : "";
  };
  const text = (side, row, column) => (held && held.side !== side ? tapOf.get(`${row},${column}`) : undefined);
  const point = (side) => (row, column) => {
    // Drawing puts a new cell under the mouse, which enters it: without this the page would draw for ever.
    if (held && held.side === side && held.row === row && held.column === column) return;
    held = { side, row, column };
    drawSides();
    describeCell();
  };
  grid(element("small"), h.small, w.small, [0, 0],
       (row, column) => ({ kind: "small" + mark("small", row, column), text: text("small", row, column) }), point("small"));
  // What is scattered over the edge (cropped), or read as zero, stands around the large side.
  const first = [h, w].map((g) => -g.padding);
  const last = [h, w].map((g) => Math.max(g.large - 1, (g.small - 1) * g.stride - g.padding + g.dilation * (g.kernel - 1)));
  const readTo = [h, w].map((g) => g.large - Geometry.unread(g));
  grid(element("large"), last[0] - first[0] + 1, last[1] - first[1] + 1, first, (row, column) => {
    const inside = row >= 0 && row < h.large && column >= 0 && column < w.large;
    if (!inside) return { kind: "ghost" };
    const unread = row >= readTo[0] || column >= readTo[1] ? " unread" : "";
    return { kind: "large" + unread + mark("large", row, column), text: text("large", row, column) };
  }, point("large"));
  const taps = new Set(pairs.map((p) => `${p.tap[0]},${p.tap[1]}`));
  grid(element("kernel"), h.kernel, w.kernel, [0, 0], (row, column) => ({
    kind: "tap" + (taps.has(`${row},${column}`) ? " joined" : ""), text: `${row},${column}` }), null);
}

function describeCell() {
  const box = element("cell");
  if (!held) {
    box.textContent = "Point at a cell: the cells that it is joined with light up, with the tap that joins them.";
    return;
  }
  const pairs = joins();
  const other = held.side === "small" ? "large" : "small";
  const [gathers, scatters] = held.side === "small" ? ["conv2d", "conv_transpose2d"] : ["conv_transpose2d", "conv2d"];
  const sum = pairs.map((p) => `${at(other, p.row, p.column)}·w[${p.tap}]`).join(" + ");
  box.replaceChildren();
  const line = (strong, rest) => {
    const p = document.createElement("p");
    const b = document.createElement("b");
    b.textContent = strong;
    p.append(b, rest);
    box.append(p);
  };
  const me = at(held.side, held.row, held.column);
  if (pairs.length === 0) {
    line(me, ` is joined with nothing: ${gathers} gives only the bias there, and ${scatters} never reads it.`);
    return;
  }
  line(`${gathers} makes it: `, `${me} = ${sum}`);
  line(`${scatters} reads it: `, "it adds " + pairs.map((p) => `${me}·w[${p.tap}] to ${at(other, p.row, p.column)}`).join(", "));
}

function describeSizes() {
  const transpose = state.op === "conv_transpose2d";
  const axes = [0, 1].map((i) => axisOf(state, i));
  const formula = (a, g) => transpose
    ? `(${a.size} − 1)·${a.stride} − 2·${a.padding} + ${a.dilation}·(${a.kernel} − 1) + ${a.output_padding} + 1 = ${g.large}`
    : `⌊(${a.size} + 2·${a.padding} − ${a.dilation}·(${a.kernel} − 1) − 1) / ${a.stride}⌋ + 1 = ${g.small}`;
  const general = transpose ? "H_out = (H_in − 1)·stride − 2·padding + dilation·(kernel − 1) + output_padding + 1"
                            : "H_out = ⌊(H_in + 2·padding − dilation·(kernel − 1) − 1) / stride⌋ + 1";
  element("size").innerText = `${general}\nheight: ${formula(axes[0], geometry[0])}\nwidth:  ${formula(axes[1], geometry[1])}`;
  const [h, w] = geometry;
  element("small-caption").textContent = `small side, ${h.small}×${w.small}: ${transpose ? "input x" : "output y"}`;
  element("large-caption").textContent = `large side, ${h.large}×${w.large}: ${transpose ? "output y; dashed: scattered there and cropped" : "input x; dashed: zero padding"}`;
  const options = ["stride", "padding", ...(transpose ? ["output_padding"] : []), "dilation"]
    .map((name) => `.${name} = {${state[name].join(", ")}}`).join(", ");
  element("code").textContent = transpose
    ? `auto y = conv_transpose2d(randn({1, 1, ${h.small}, ${w.small}}), randn({1, 1, ${h.kernel}, ${w.kernel}}), {${options}});  // (1, 1, ${h.large}, ${w.large})`
    : `auto y = conv2d(randn({1, 1, ${h.large}, ${w.large}}), randn({1, 1, ${h.kernel}, ${w.kernel}}), {${options}});  // (1, 1, ${h.small}, ${w.small})`;
}

function describeOverlap() {
  const counts = geometry.map(Geometry.overlap);
  const most = Math.max(...counts[0]) * Math.max(...counts[1]);
  grid(element("overlap"), counts[0].length, counts[1].length, [0, 0], (row, column) => {
    const count = counts[0][row] * counts[1][column];
    const shade = most === 0 ? 0 : count / most;
    return { kind: "count", text: String(count), fill: `hsl(25 85% ${97 - 45 * shade}%)` };
  }, null);
  const uneven = geometry.map((g) => {
    const inner = new Set();
    const reach = g.dilation * (g.kernel - 1);
    for (let l = reach; l < g.large - reach; ++l) inner.add(Geometry.ofLarge(g, l).length);
    return inner.size > 1;
  });
  const text = element("overlap-text");
  if (uneven[0] || uneven[1])
    text.textContent = "Away from the border the counts differ: with weights that do not make up for it, conv_transpose2d draws this pattern, the checkerboard. " +
      "A kernel that is a multiple of the stride evens it out.";
  else
    text.textContent = "Away from the border every cell meets the same number of products: no checkerboard from the geometry itself.";
}

function describeReach() {
  const table = element("reach"), text = element("reach-text");
  table.replaceChildren();
  if (state.op === "conv2d") {
    const [h, w] = geometry.map(Geometry.unread);
    text.textContent = h + w === 0
      ? "The stride divides evenly: conv2d reads the input to its end, and conv_transpose2d with output_padding 0 leads back to its size."
      : `The stride leaves ${h} row(s) and ${w} column(s) at the end unread. conv_transpose2d needs that as output_padding to lead back to this size; Duet's derivatives carry both sizes, so they need no such argument.`;
    return;
  }
  text.textContent = "Several large sizes shrink to one small size, so the way back is a choice: output_padding makes it.";
  const header = document.createElement("tr");
  header.innerHTML = "<th>output_padding</th><th>height</th><th>width</th>";
  table.append(header);
  const reach = [0, 1].map((i) => Geometry.reachable(axisOf(state, i)));
  const rows = Math.max(state.stride[0], state.dilation[0], state.stride[1], state.dilation[1]);
  for (let extra = 0; extra < rows; ++extra) {
    const row = document.createElement("tr");
    const cells = [extra, ...reach.map((list) => list.find((r) => r.output_padding === extra)?.size ?? "–")];
    cells.forEach((value, i) => {
      const cell = document.createElement("td");
      cell.textContent = value;
      if (i > 0 && state.output_padding[i - 1] === extra) cell.className = "now";
      row.append(cell);
    });
    table.append(row);
  }
}

function show(next) {
  state = next;
  held = null;
  history.replaceState(null, "", toHash(state));
  for (const name of ["output_padding", "output_padding2"]) form.elements[name].disabled = state.op === "conv2d";
  const problems = ["height", "width"].flatMap((name, i) => {
    const axis = axisOf(state, i);
    const found = Geometry.problems(state.op, axis);
    const large = NAMES.filter((field) => axis[field] > Number(form.elements[field].max));
    return [...found, ...large.map((field) => `${field} ${axis[field]} is more than this page draws (${form.elements[field].max})`)]
      .map((text) => `${name}: ${text}`);
  });
  const box = element("problems");
  box.replaceChildren(...problems.map((text) => Object.assign(document.createElement("p"), { textContent: text })));
  element("works").hidden = problems.length > 0;
  if (problems.length > 0) return;
  geometry = [0, 1].map((i) => Geometry.shared(state.op, axisOf(state, i)));
  drawSides();
  describeCell();
  describeSizes();
  describeOverlap();
  describeReach();
}

// Both numbers of a pair move together until the second one is changed by itself.
form.addEventListener("input", (event) => {
  const name = event.target.name;
  if (NAMES.includes(name) && state[name][0] === state[name][1]) form.elements[name + "2"].value = event.target.value;
  show(read());
});
form.addEventListener("submit", (event) => event.preventDefault());
for (const [name, settings] of EXAMPLES) {
  const button = Object.assign(document.createElement("button"), { type: "button", textContent: name });
  button.addEventListener("click", () => { write(settings); show(settings); });
  element("examples").append(button);
}
window.addEventListener("hashchange", () => { const next = fromHash(location.hash); if (next) { write(next); show(next); } });
const opened = fromHash(location.hash) ?? FIRST;
write(opened);
show(opened);
