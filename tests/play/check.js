// Runs inside the page of docs/play after its own scripts: its arithmetic against EXPECTED, which Duet wrote, and what
// a reader does with the mouse. Leaves a line "N passed, N failed" in the page.
"use strict";

(() => {
  let passed = 0;
  const failures = [];
  const check = (what, got, wanted) => {
    if (JSON.stringify(got) === JSON.stringify(wanted)) ++passed;
    else failures.push(`${what}: got ${JSON.stringify(got)}, wanted ${JSON.stringify(wanted)}`);
  };
  const sorted = (list) => list.map((j) => j.join(",")).sort();

  for (const { op, axis, error, out, joins } of EXPECTED.axes) {
    const name = `${op} ${JSON.stringify(axis)}`;
    check(`${name} refused (Duet: ${error})`, Geometry.problems(op, axis).length > 0, error !== undefined);
    if (error !== undefined) continue;
    const g = Geometry.shared(op, axis);
    check(`${name} size`, op === "conv2d" ? g.small : g.large, out);
    const down = [], up = [];
    for (let s = 0; s < g.small; ++s) for (const j of Geometry.ofSmall(g, s)) down.push([s, j.tap, j.cell]);
    for (let l = 0; l < g.large; ++l) for (const j of Geometry.ofLarge(g, l)) up.push([j.cell, j.tap, l]);
    check(`${name} from the small side`, sorted(down), sorted(joins));
    check(`${name} from the large side`, sorted(up), sorted(joins));
    if (op === "conv2d") {
      const read = joins.length === 0 ? null : Math.max(...joins.map((j) => j[2]));
      if (read !== null && axis.padding === 0) check(`${name} unread`, Geometry.unread(g), g.large - 1 - read);
    }
  }
  for (const { height, width, rows, overlap } of EXPECTED.planes) {
    const [h, w] = [height, width].map((a) => Geometry.overlap(Geometry.shared("conv_transpose2d", a)));
    check(`rows of ${JSON.stringify(height)}`, h.length, rows);
    check(`overlap of ${JSON.stringify([height, width])}`, h.flatMap((a) => w.map((b) => a * b)), overlap);
  }
  for (const { axis, sizes } of EXPECTED.reach)
    check(`reachable from ${JSON.stringify(axis)}`, Geometry.reachable(axis).map((r) => [r.size, r.output_padding]), sizes);

  // The page as a reader uses it.
  const cells = (id, kind) => [...document.querySelectorAll(`#${id} g.${kind}`)];
  const point = (id, at) => document.querySelector(`#${id} g[data-at="${at}"]`).dispatchEvent(new PointerEvent("pointerenter"));
  const set = (name, value) => {
    const field = document.getElementById("settings").elements[name];
    field.value = value;
    field.dispatchEvent(new Event("input", { bubbles: true }));
  };
  set("op", "conv_transpose2d");
  point("small", "1,1");  // 3x3, stride 2, padding 1: the window begins at (1, 1)
  check("one cell is held", cells("small", "held").length, 1);
  check("it scatters to", cells("large", "joined").map((g) => g.dataset.at),
        ["1,1", "1,2", "1,3", "2,1", "2,2", "2,3", "3,1", "3,2", "3,3"]);
  point("large", "1,2");
  check("a cell of the large side is fed by", cells("small", "joined").map((g) => g.dataset.at), ["0,1", "1,1"]);
  check("it says so", document.getElementById("cell").textContent.includes("large[1,2] = small[1,1]·w[0,1] + small[0,1]·w[2,1]"), true);
  check("the size formula is filled in", document.getElementById("size").textContent.includes("(4 − 1)·2 − 2·1 + 1·(3 − 1) + 1 + 1 = 8"), true);
  set("output_padding", "2");
  check("an illegal choice is explained", document.getElementById("problems").textContent.includes("max(stride, dilation)"), true);
  check("and nothing else is shown", document.getElementById("works").hidden, true);
  set("output_padding", "0");
  check("a legal one is drawn", [document.getElementById("works").hidden, cells("large", "large").length], [false, 49]);
  set("size", "500");
  check("a size that cannot be drawn is refused", document.getElementById("works").hidden, true);
  set("size", "4");
  set("op", "conv2d");
  check("conv2d turns the sides", [cells("large", "large").length, cells("small", "small").length], [16, 4]);
  check("the address keeps the settings", location.hash.startsWith("#op=conv2d&size=4,4&kernel=3,3&stride=2,2"), true);

  const result = document.createElement("pre");
  result.id = "result";
  result.textContent = [...failures.slice(0, 20), `${passed} passed, ${failures.length} failed`].join("\n");
  document.body.prepend(result);
})();
