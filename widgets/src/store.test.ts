import { expect, test } from "vitest";
import { Store } from "./store";
import type { Delta, Graph, Header, NodeFace, Snapshot } from "./types";

const header = {
  look: "running",
  word: "Running",
  done: 0,
  total: 1,
  retries: 0,
  counts: {},
} as unknown as Header;
const face = (look: string): NodeFace => ({ look, word: look, name: "a" });
const graph: Graph = { id: 1, svg: "<svg/>" };
const snapshot = (version: number, look = "waiting", id = 1): Snapshot => ({
  graph: id,
  version,
  now: 100,
  header,
  nodes: { n0: face(look), n1: face("waiting") },
});
const delta = (version: number, look: string, id = 1): Delta => ({
  type: "delta",
  graph: id,
  version,
  now: 100,
  nodes: { n0: face(look) },
});

test("deltas on top of a snapshot change only their nodes", () => {
  const store = new Store();
  expect(store.reset(graph, snapshot(1)).kind).toBe("all");
  expect(store.apply(delta(2, "running"))).toEqual({ kind: "nodes", keys: ["n0"] });
  expect(store.snapshot?.nodes.n0?.look).toBe("running");
  expect(store.snapshot?.nodes.n1?.look).toBe("waiting");
});

test("after a lost delta the store waits for a snapshot", () => {
  const store = new Store();
  store.reset(graph, snapshot(1));
  expect(store.apply(delta(3, "succeeded")).kind).toBe("none");
  expect(store.reset(graph, snapshot(3, "succeeded")).kind).toBe("all");
  expect(store.apply(delta(4, "failed")).kind).toBe("nodes");
});

test("a snapshot that is older than what is known changes nothing", () => {
  const store = new Store();
  store.reset(graph, snapshot(5, "succeeded"));
  expect(store.reset(graph, snapshot(4, "running")).kind).toBe("none");
  expect(store.snapshot?.nodes.n0?.look).toBe("succeeded");
});

test("states of another shape are not mixed with this one", () => {
  const store = new Store();
  store.reset(graph, snapshot(1));
  expect(store.reset(graph, snapshot(2, "running", 2)).kind).toBe("none");
  expect(store.apply(delta(2, "running", 2)).kind).toBe("none");
});

test("an empty model shows nothing", () => {
  expect(new Store().reset({} as Graph, {} as Snapshot).kind).toBe("none");
  expect(new Store().apply(delta(1, "running")).kind).toBe("none");
});

test("the quickest message sets the kernel's clock", () => {
  let clock = 205;
  const store = new Store(() => clock);
  store.reset(graph, snapshot(1)); // sent at 100, seen at 205
  clock = 203;
  store.apply({ ...delta(2, "running"), now: 101 }); // seen after 102
  clock = 210;
  expect(store.now()).toBe(108);
});

test("a run is over when it has ended in a final state", () => {
  const store = new Store();
  store.reset(graph, snapshot(1));
  expect(store.over).toBe(false);
  store.apply({ ...delta(2, "failed"), header: { ...header, look: "failed", ended: 3 } });
  expect(store.over).toBe(true);
});
