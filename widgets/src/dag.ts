import { CardPane } from "./card";
import { DetailsPane } from "./details";
import { html } from "./elements";
import { FindField, type Sought } from "./find";
import { GraphPane } from "./graph";
import { HeaderPane } from "./header";
import { Kernel } from "./kernel";
import { keyList } from "./keys";
import { LogPane } from "./logs";
import type { Pane } from "./panes";
import { cancelOverServer } from "./server";
import { type Change, Store } from "./store";
import { TablePane } from "./table";
import { Tabs } from "./tabs";
import { TimelinePane } from "./timeline";
import type { Answer, Delta, Graph, Snapshot } from "./types";

/** The part of anywidget's model that is used here. */
export interface Model {
  get(name: string): unknown;
  on(event: string, callback: (...values: never[]) => void): void;
  off(event: string, callback: (...values: never[]) => void): void;
  send(message: object): void;
}

/** An answer of the kernel to a question. */
interface Answered {
  type: "answer";
  id: number;
  answer: Answer;
}

const TICK = 200;
const ZOOM = 1.25;
/** Seconds within which a kernel that hears at all while a cell runs has answered. */
const HEARS = 0.3;
const LATER = "That is possible once the run has ended.";
type View = "Graph" | "Timeline" | "Table" | "Logs";

/** The live view of one run. */
export class DagView {
  // JupyterLab leaves the keys to the view: or `l` would toggle line numbers, and `d` twice delete the cell
  readonly element = html("div", { class: "fb-dag", "data-lm-suppress-shortcuts": "true" });
  private readonly store: Store;
  private readonly header = new HeaderPane((look) => this.seek({ look }));
  private readonly graph = new GraphPane(
    (key) => this.select(key),
    (scale, fitting) => this.rescaled(scale, fitting),
  );
  private readonly find = new FindField(
    (text) => this.seek({ text }).length,
    (back) => this.goOn(back),
    () => this.graph.enterFocus(),
  );
  private readonly panes: Record<Exclude<View, "Graph">, Pane>;
  private readonly tabs: Tabs<View>;
  private readonly details: DetailsPane;
  private readonly card: CardPane;
  private readonly empty = html("div", { class: "fb-empty" });
  private readonly zoom = html("button", { type: "button", class: "fb-zoom", hidden: "" }, "Actual size");
  private readonly help = html(
    "button",
    { type: "button", class: "fb-zoom", "aria-expanded": "false", "aria-label": "Keys" },
    "?",
  );
  private readonly keys = keyList();
  private drawn = 0;
  private actual = false;
  private sought: Sought = {};
  private at = -1;
  private selected: string | undefined;

  constructor(
    store = new Store(),
    private readonly kernel = new Kernel(() => {}),
  ) {
    this.store = store;
    const select = (key: string) => this.select(key);
    this.panes = {
      Timeline: new TimelinePane(select),
      Table: new TablePane(select),
      Logs: new LogPane(kernel),
    };
    this.details = new DetailsPane(kernel);
    this.card = new CardPane(
      kernel,
      (name) => this.select(this.keyOf(name)),
      () => this.header.hideProblem(),
    );
    const graph = html("div", {}, this.graph.element, this.empty);
    const { Timeline, Table, Logs } = this.panes;
    const contents = { Graph: graph, Timeline: Timeline.element, Table: Table.element, Logs: Logs.element };
    this.tabs = new Tabs<View>(contents, "Graph", () => this.turnTo());
    const tools = html("div", { class: "fb-tools" }, this.tabs.list, this.find.element, this.zoom, this.help);
    const above = [this.header.element, this.card.element];
    this.element.append(...above, tools, this.keys, this.tabs.panels, this.details.element);
    this.zoom.addEventListener("click", () => this.toggleZoom());
    this.help.addEventListener("click", () => this.toggleKeys());
    this.element.addEventListener("keydown", (event) => this.key(event));
  }

  reset(graph: Graph | undefined, snapshot: Snapshot | undefined): void {
    this.show(this.store.reset(graph, snapshot));
  }

  /** Offer to cancel the run of this id while it goes on. The server is asked where the kernel does not hear. */
  offerCancel(run: string): void {
    this.header.offerCancel(
      async () => (await this.kernel.ask({ what: "cancel" }, HEARS)) ?? (await cancelOverServer(run)),
    );
  }

  /** Take a message of the kernel. */
  receive(message: Delta | Answered): void {
    if (message.type === "delta") this.show(this.store.apply(message));
    else if (message.type === "answer") this.kernel.resolve(message.id, message.answer);
  }

  /** Bring the durations of what still runs up to now. */
  tick(): void {
    this.updatePane();
    if (this.selected) this.describe();
    if (this.store.over) return;
    const now = this.store.now();
    this.header.tick(now);
    this.graph.tick(now);
  }

  fit(): void {
    this.graph.viewport.refresh();
  }

  private show(change: Change): void {
    const { graph, snapshot } = this.store;
    if (change.kind === "none" || !graph || !snapshot) return;
    const now = this.store.now();
    this.header.show(snapshot.header, now);
    this.card.update(snapshot);
    if (graph.id !== this.drawn) this.draw(graph);
    this.graph.show(snapshot.nodes, change.kind === "all" ? Object.keys(snapshot.nodes) : change.keys, now);
    this.describe();
  }

  /** Bring the view that is looked at up to date; the graph is so by itself. */
  private updatePane(): void {
    const { snapshot } = this.store;
    const view = this.tabs.current;
    if (snapshot && view !== "Graph") this.panes[view].update(snapshot, this.store.now(), this.sought);
  }

  private turnTo(): void {
    this.zoom.hidden = true;
    this.updatePane();
    this.fit();
  }

  private draw(graph: Graph): void {
    this.drawn = graph.id;
    this.selected = undefined;
    const done = this.graph.draw(graph.svg);
    this.empty.textContent = done ? "" : (graph.problem ?? "No tasks yet.");
    this.fit();
  }

  private select(key: string | undefined): void {
    this.selected = key !== undefined && this.store.snapshot?.nodes[key] ? key : undefined;
    this.graph.mark(this.selected);
    if (this.selected) this.graph.reveal(this.selected);
    this.describe();
  }

  /** The box of a task, by its name. */
  private keyOf(name: string): string | undefined {
    const nodes = Object.entries(this.store.snapshot?.nodes ?? {});
    return nodes.find(([, face]) => face.name === name)?.[0];
  }

  private describe(): void {
    this.details.show(this.selected, this.store.snapshot, this.store.now());
  }

  /** Dim what is not looked for; returns the keys of what is. */
  private seek(change: Sought): string[] {
    this.sought = { ...this.sought, ...change };
    this.at = -1;
    this.updatePane();
    return this.graph.seek(this.sought);
  }

  /** Choose the next of what is looked for, or the one before; says which it is. */
  private goOn(back: boolean): string {
    const found = this.graph.seek(this.sought);
    if (!found.length) return "none found";
    const from = back && this.at < 0 ? 0 : this.at;
    this.at = (from + (back ? -1 : 1) + found.length) % found.length;
    this.select(found[this.at]);
    return `${this.at + 1} of ${found.length}`;
  }

  private rescaled(scale: number, fitting: number): void {
    this.actual = scale > fitting;
    this.zoom.hidden = this.tabs.current !== "Graph" || (fitting >= 0.85 && !this.actual);
    this.zoom.textContent = this.actual ? "Fit" : "Actual size";
  }

  private toggleZoom(): void {
    if (this.actual) this.graph.viewport.fit();
    else this.graph.viewport.zoomTo(1);
  }

  private toggleKeys(): void {
    this.keys.hidden = !this.keys.hidden;
    this.help.setAttribute("aria-expanded", String(!this.keys.hidden));
  }

  /** The keys of the whole view; those of the graph are its own. */
  private key(event: KeyboardEvent): void {
    if (event.ctrlKey || event.metaKey || event.altKey || (event.target as Element).localName === "input")
      return;
    const does = this.actionOf(event.key);
    if (!does) return;
    does();
    event.preventDefault();
    event.stopPropagation();
  }

  private actionOf(key: string): (() => void) | undefined {
    const actions: Record<string, () => void> = {
      "/": () => this.find.focus(),
      "?": () => this.toggleKeys(),
      f: () => this.graph.viewport.fit(),
      "+": () => this.graph.viewport.zoomBy(ZOOM),
      "=": () => this.graph.viewport.zoomBy(ZOOM),
      "-": () => this.graph.viewport.zoomBy(1 / ZOOM),
      n: () => this.graph.goToFailed(false),
      p: () => this.graph.goToFailed(true),
      ".": () => this.header.cancel(),
      t: () => this.card.toggleTraceback(),
      R: () => this.header.say(LATER),
      d: () => this.header.say(LATER),
      l: () => this.tabs.choose("Logs"),
      Escape: () => this.select(undefined),
    };
    return actions[key];
  }
}

function render({ model, el }: { model: Model; el: HTMLElement }): () => void {
  const view = new DagView(new Store(), new Kernel((message) => model.send(message)));
  el.append(view.element);
  const reset = () =>
    view.reset(model.get("graph") as Graph, JSON.parse(model.get("snapshot") as string) as Snapshot);
  const receive = (message: Delta | Answered) => view.receive(message);
  if (model.get("can_cancel")) view.offerCancel(String(model.get("run") ?? ""));
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
