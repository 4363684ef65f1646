import { html, icon } from "./elements";
import { GraphPane } from "./graph";
import { HeaderPane } from "./header";
import { facts } from "./nodes";
import { type Change, Store } from "./store";
import type { Delta, Graph, NodeFace, Snapshot } from "./types";

/** The part of anywidget's model that is used here. */
export interface Model {
  get(name: string): unknown;
  on(event: string, callback: (...values: never[]) => void): void;
  off(event: string, callback: (...values: never[]) => void): void;
}

const TICK = 200;

/** The live view of one run. */
export class DagView {
  readonly element = html("div", { class: "fb-dag" });
  private readonly store: Store;
  private readonly header = new HeaderPane((look) => this.graph.highlight(look));
  private readonly graph = new GraphPane((key) => this.select(key));
  private readonly details = html("div", { class: "fb-details" });
  private readonly empty = html("div", { class: "fb-empty" });
  private readonly zoom = html("button", { type: "button", class: "fb-zoom", hidden: "" }, "Actual size");
  private drawn = 0;
  private actual = false;
  private selected: string | undefined;

  constructor(store = new Store()) {
    this.store = store;
    this.element.append(this.header.element, this.graph.element, this.zoom, this.details, this.empty);
    this.zoom.addEventListener("click", () => this.toggleZoom());
  }

  reset(graph: Graph | undefined, snapshot: Snapshot | undefined): void {
    this.show(this.store.reset(graph, snapshot));
  }

  apply(delta: Delta): void {
    if (delta.type === "delta") this.show(this.store.apply(delta));
  }

  /** Bring the durations of what still runs up to now. */
  tick(): void {
    if (this.store.over) return;
    const now = this.store.now();
    this.header.tick(now);
    this.graph.tick(now);
  }

  fit(): void {
    const scaled = this.graph.fit(this.actual);
    this.zoom.hidden = !scaled;
  }

  private show(change: Change): void {
    const { graph, snapshot } = this.store;
    if (change.kind === "none" || !graph || !snapshot) return;
    const now = this.store.now();
    this.header.show(snapshot.header, now);
    if (graph.id !== this.drawn) this.draw(graph);
    this.graph.show(snapshot.nodes, change.kind === "all" ? Object.keys(snapshot.nodes) : change.keys, now);
    if (this.selected) this.select(this.selected);
  }

  private draw(graph: Graph): void {
    this.drawn = graph.id;
    this.selected = undefined;
    this.details.replaceChildren();
    const done = this.graph.draw(graph.svg);
    this.empty.textContent = done ? "" : (graph.problem ?? "No tasks yet.");
    this.fit();
  }

  private select(key: string | undefined): void {
    const face = key === undefined ? undefined : this.store.snapshot?.nodes[key];
    this.selected = face ? key : undefined;
    this.details.replaceChildren(...(face ? this.described(face) : []));
  }

  private described(face: NodeFace): Node[] {
    const badge = html("span", { class: `fb-badge fb-${face.look}` }, icon(face.look), face.word);
    const said = html("span", {}, facts(face, this.store.now()));
    const message = face.message ? [html("div", { class: "fb-message" }, face.message)] : [];
    return [badge, html("bdi", { class: "fb-flow" }, face.name), said, ...message];
  }

  private toggleZoom(): void {
    this.actual = !this.actual;
    this.zoom.textContent = this.actual ? "Fit" : "Actual size";
    this.fit();
  }
}

function render({ model, el }: { model: Model; el: HTMLElement }): () => void {
  const view = new DagView();
  el.append(view.element);
  const reset = () => view.reset(model.get("graph") as Graph, model.get("snapshot") as Snapshot);
  const receive = (message: Delta) => view.apply(message);
  reset();
  model.on("change:snapshot", reset);
  model.on("msg:custom", receive);
  const sizes = new ResizeObserver(() => view.fit());
  sizes.observe(view.element);
  const timer = setInterval(() => view.tick(), TICK);
  return () => {
    clearInterval(timer);
    sizes.disconnect();
    model.off("change:snapshot", reset);
    model.off("msg:custom", receive);
  };
}

export default { render };
