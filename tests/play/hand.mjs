// The page of docs/play under a reader's hand: node hand.mjs PAGE FOLDER. A real mouse and real keys by way of
// playwright-core (looked for in FOLDER/node_modules), where check.js in the page only dispatches events. Leaves
// screenshots in FOLDER.
import { createRequire } from "node:module";
import path from "node:path";
import { pathToFileURL } from "node:url";

const [page_path, folder, browser_path] = process.argv.slice(2);
let chromium;
try {
  ({ chromium } = createRequire(path.resolve(folder, "x.js"))("playwright-core"));
} catch {
  console.log(`skipped: no playwright-core here (npm install --prefix ${folder} playwright-core)`);
  process.exit(0);
}

let passed = 0;
const failures = [];
const check = (what, got, wanted) => {
  if (JSON.stringify(got) === JSON.stringify(wanted)) ++passed;
  else failures.push(`${what}: got ${JSON.stringify(got)}, wanted ${JSON.stringify(wanted)}`);
};

const browser = await chromium.launch({ executablePath: browser_path, args: ["--no-sandbox"] });
const page = await browser.newPage({ viewport: { width: 1100, height: 1250 } });
const complaints = [], requests = [];
page.on("console", (message) => message.type() === "error" && complaints.push(message.text()));
page.on("pageerror", (error) => complaints.push(String(error)));
page.on("request", (request) => requests.push(request.url()));
await page.goto(pathToFileURL(path.resolve(page_path)).href);

const places = (side) => page.locator(`#${side} g.joined`).evaluateAll((cells) => cells.map((g) => g.dataset.at));
const hover = (side, at) => page.locator(`#${side} g[data-at="${at}"]`).hover();

await page.getByRole("button", { name: "checkerboard" }).click();
await hover("small", "1,1");
check("the mouse over a small cell lights its window", await places("large"),
      ["1,1", "1,2", "1,3", "2,1", "2,2", "2,3", "3,1", "3,2", "3,3"]);
check("and then the page is at rest", await page.evaluate(() => new Promise((done) => {
  let changes = 0;
  new MutationObserver((list) => (changes += list.length)).observe(document.getElementById("large"), { childList: true, subtree: true });
  const end = performance.now() + 300;  // frame by frame: each tells the page what is under the mouse
  const frame = () => (performance.now() < end ? requestAnimationFrame(frame) : done(changes));
  frame();
})), 0);
await page.screenshot({ path: path.join(folder, "scatter.png") });
await hover("large", "1,2");
check("over a large one, what feeds it", await places("small"), ["0,1", "1,1"]);

const field = page.locator('input[name="stride"]');
await field.fill("4");
check("a key in a field draws anew", await page.locator("#size").textContent().then((t) => t.includes("(4 − 1)·4")), true);
await page.locator('input[name="output_padding"]').fill("4");
check("an illegal choice is explained", await page.locator("#problems").textContent().then((t) => t.includes("got 4 with stride 4")), true);
check("and hides the drawing", await page.locator("#works").isVisible(), false);
await page.screenshot({ path: path.join(folder, "illegal.png") });

const address = page.url();
await page.reload();
check("a reload keeps what was typed", await page.locator('input[name="stride"]').inputValue(), "4");
check("by the address", page.url(), address);

for (const name of await page.locator("#examples button").allTextContents()) {
  await page.getByRole("button", { name, exact: true }).click();
  check(`'${name}' draws or explains`, (await page.locator("#works").isVisible()) !== (await page.locator("#problems p").count() > 0), true);
}
await page.setViewportSize({ width: 420, height: 900 });
check("a narrow window needs no scrolling sideways", await page.evaluate(() => document.documentElement.scrollWidth <= innerWidth), true);
await page.screenshot({ path: path.join(folder, "narrow.png") });

check("no complaint on the console", complaints, []);
check("nothing but files is asked for", requests.filter((url) => !url.startsWith("file:")), []);
await browser.close();
console.log([...failures, `${passed} passed, ${failures.length} failed`].join("\n"));
process.exit(failures.length === 0 ? 0 : 1);
