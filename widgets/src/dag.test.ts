// @vitest-environment happy-dom
import { expect, test } from "vitest";
import { DagView } from "./dag";
import { safeSvg } from "./sanitize";
import { Store } from "./store";
import type { Delta, Header, NodeFace, Snapshot } from "./types";

const node = (key: string, name: string) =>
  `<g class="fb-node" data-node="${key}"><title>${name}</title>` +
  `<rect class="fb-box" width="176" height="40"/><path class="fb-icon"/><text class="fb-name">${name}</text>` +
  `<text class="fb-detail"/></g>`;
const SVG =
  `<svg xmlns="http://www.w3.org/2000/svg" width="400" height="60" viewBox="0 0 400 60" class="fb-graph">` +
  `<g class="fb-edges"><path class="fb-edge" d="M0,0C1,1 2,2 3,3" data-from="n0" data-to="n1"/></g>` +
  `${node("n0", "extract")}${node("n1", "clean")}</svg>`;

const header = (look: string, more: Partial<Header> = {}): Header => ({
  look,
  word: look,
  flow: "nightly",
  name: "calm-otter",
  started: 0,
  done: 0,
  total: 2,
  retries: 0,
  counts: { waiting: 2 },
  ...more,
});
const face = (look: string, name: string, more: Partial<NodeFace> = {}): NodeFace => ({
  look,
  word: look,
  name,
  ...more,
});
const snapshot = (): Snapshot => ({
  graph: 1,
  version: 1,
  now: 10,
  header: header("running"),
  nodes: { n0: face("running", "extract", { started: 4 }), n1: face("waiting", "clean") },
});

function shown(clock = () => 10) {
  const view = new DagView(new Store(clock));
  document.body.replaceChildren(view.element);
  view.reset({ id: 1, svg: SVG }, snapshot());
  const group = (key: string) => view.element.querySelector(`[data-node=${key}]`) as SVGGElement;
  return { view, group };
}

test("a node carries its state as a class, an icon, small print and a spoken name", () => {
  const { group } = shown();
  expect(group("n0").getAttribute("class")).toContain("fb-running");
  expect(group("n0").querySelector(".fb-icon")?.getAttribute("d")).toBeTruthy();
  expect(group("n0").querySelector(".fb-detail")?.textContent).toBe("6.0 s");
  expect(group("n0").getAttribute("aria-label")).toBe("extract: running, 6.0 s");
  expect(group("n1").querySelector(".fb-icon")?.getAttribute("d")).not.toBe(
    group("n0").querySelector(".fb-icon")?.getAttribute("d"),
  );
});

test("a delta changes the class, and the durations of what runs go on by themselves", () => {
  let now = 10;
  const { view, group } = shown(() => now);
  now = 12;
  view.tick();
  expect(group("n0").querySelector(".fb-detail")?.textContent).toBe("8.0 s");
  const delta: Delta = {
    type: "delta",
    graph: 1,
    version: 2,
    now: 12,
    nodes: { n0: face("succeeded", "extract", { started: 4, ended: 12 }) },
  };
  view.receive(delta);
  expect(group("n0").getAttribute("class")).toContain("fb-succeeded");
  expect(group("n0").getAttribute("class")).not.toContain("fb-running");
  now = 30;
  view.tick();
  expect(group("n0").querySelector(".fb-detail")?.textContent).toBe("8.0 s");
});

test("the end is announced once, in words", () => {
  const { view } = shown();
  const status = view.element.querySelector(".fb-head > [role=status]");
  expect(status?.textContent).toBe("");
  const end = header("failed", { ended: 12, sentence: "Failed at clean after 12.0 s." });
  view.receive({ type: "delta", graph: 1, version: 2, now: 12, header: end, nodes: {} });
  expect(status?.textContent).toBe("Failed at clean after 12.0 s.");
});

test("a count filters, and pressed again shows everything", () => {
  const { view, group } = shown();
  const button = view.element.querySelector<HTMLButtonElement>("button[data-look=waiting]");
  expect(button?.textContent).toBe("2 waiting");
  button?.click();
  expect(group("n0").classList.contains("fb-dim")).toBe(true);
  expect(group("n1").classList.contains("fb-dim")).toBe(false);
  button?.click();
  expect(group("n0").classList.contains("fb-dim")).toBe(false);
});

test("one Tab stop; the arrow keys follow the edges; the message of the chosen task is text", () => {
  const { view, group } = shown();
  expect([group("n0").getAttribute("tabindex"), group("n1").getAttribute("tabindex")]).toEqual(["0", "-1"]);
  group("n0").focus();
  group("n0").dispatchEvent(new KeyboardEvent("keydown", { key: "ArrowRight", bubbles: true }));
  expect(document.activeElement).toBe(group("n1"));
  const nodes = { n1: face("failed", "clean", { message: "<img src=x onerror=alert(1)>" }) };
  view.receive({ type: "delta", graph: 1, version: 2, now: 12, nodes });
  const details = view.element.querySelector(".fb-details");
  expect(details?.textContent).toContain("<img src=x onerror=alert(1)>");
  expect(details?.querySelector("img")).toBeNull();
});

test("/ finds: what does not match is dimmed, Enter goes on to the next, Esc shows everything", () => {
  const { view, group } = shown();
  group("n0").focus();
  const press = (key: string) =>
    document.activeElement?.dispatchEvent(
      new KeyboardEvent("keydown", { key, bubbles: true, cancelable: true }),
    );
  press("/");
  const field = view.element.querySelector("input") as HTMLInputElement;
  expect(document.activeElement).toBe(field);
  field.value = "CLE";
  field.dispatchEvent(new Event("input"));
  expect([group("n0"), group("n1")].map((g) => g.classList.contains("fb-dim"))).toEqual([true, false]);
  press("Enter");
  expect(view.element.querySelector(".fb-found")?.textContent).toBe("1 of 1");
  expect(view.element.querySelector(".fb-details")?.textContent).toContain("clean");
  press("Escape");
  expect(field.value).toBe("");
  expect(group("n0").classList.contains("fb-dim")).toBe(false);
  expect(view.element.querySelector(".fb-find")?.contains(document.activeElement)).toBe(false);
});

test("? lists the keys; a key with Ctrl is the browser's", () => {
  const { view, group } = shown();
  const keys = view.element.querySelector(".fb-keys") as HTMLElement;
  group("n0").dispatchEvent(new KeyboardEvent("keydown", { key: "?", ctrlKey: true, bubbles: true }));
  expect(keys.hidden).toBe(true);
  group("n0").dispatchEvent(new KeyboardEvent("keydown", { key: "?", bubbles: true }));
  expect(keys.hidden).toBe(false);
  expect(keys.textContent).toContain("find a task");
});

test("a new shape keeps nothing of the old one", () => {
  const { view, group } = shown();
  const next = { ...snapshot(), graph: 2, version: 2, nodes: { n0: face("failed", "other") } };
  view.reset({ id: 2, svg: SVG.replace(node("n1", "clean"), "") }, next);
  expect(group("n1")).toBeNull();
  expect(group("n0").getAttribute("class")).toContain("fb-failed");
});

test("without tasks it says so", () => {
  const view = new DagView(new Store());
  view.reset({ id: 1, svg: "" }, { ...snapshot(), nodes: {} });
  expect(view.element.querySelector(".fb-empty")?.textContent).toBe("No tasks yet.");
});

test.each([
  ["a script", `<script>alert(1)</script>`],
  [
    "foreign HTML",
    `<foreignObject><body xmlns="http://www.w3.org/1999/xhtml"><b>x</b></body></foreignObject>`,
  ],
  ["an image", `<image href="https://example.org/x.png"/>`],
  ["a link", `<a href="javascript:alert(1)"><text>x</text></a>`],
  ["a style sheet", `<style>* { display: none }</style>`],
  ["an animation", `<animate attributeName="href" to="javascript:alert(1)"/>`],
  ["an include", `<use href="#x"/>`],
])("%s in a drawing does not reach the page", (_, hostile) => {
  const made = safeSvg(SVG.replace("</svg>", `${hostile}</svg>`));
  expect(made?.querySelectorAll("[data-node]").length).toBe(2);
  expect(made?.innerHTML).not.toMatch(/script|foreign|image|href|style|animate|use/i);
});

test("event handlers, styles, ids and foreign classes are dropped", () => {
  const made = safeSvg(
    `<svg xmlns="http://www.w3.org/2000/svg" onload="x()"><g id="a" style="x" onclick="x()" class="fb-node evil" data-node="n0"/></svg>`,
  );
  const group = made?.querySelector("g");
  expect(group?.getAttributeNames().sort()).toEqual(["class", "data-node"]);
  expect(group?.getAttribute("class")).toBe("fb-node");
  expect(made?.hasAttribute("onload")).toBe(false);
});

test.each(["", "not a drawing", "<html><body/></html>"])("%j is no drawing", (source) => {
  expect(safeSvg(source)).toBeNull();
});
