import type { Delta, Graph, Snapshot } from "./types";

/** What happened to the store: nothing, some nodes changed, or everything did. */
export type Change = { kind: "none" } | { kind: "all" } | { kind: "nodes"; keys: string[] };

const FINAL = new Set(["succeeded", "reused", "failed", "crashed", "cancelled", "not-run"]);

/**
 * The newest known state of one run. Snapshots may come late and deltas may be lost; a delta counts only on top of the
 * version before it, and the kernel sends a snapshot soon after.
 */
export class Store {
  graph: Graph | undefined;
  snapshot: Snapshot | undefined;
  /** Seconds by which this browser's clock is ahead of the kernel's; the quickest message knows best. */
  private ahead = Number.POSITIVE_INFINITY;

  constructor(private readonly clock: () => number = () => Date.now() / 1000) {}

  reset(graph: Graph | undefined, snapshot: Snapshot | undefined): Change {
    if (!graph?.id || !snapshot?.version || graph.id !== snapshot.graph) return { kind: "none" };
    const known = this.snapshot;
    if (known && this.graph?.id === graph.id && known.version >= snapshot.version) return { kind: "none" };
    this.graph = graph;
    this.snapshot = snapshot;
    this.tune(snapshot.now);
    return { kind: "all" };
  }

  apply(delta: Delta): Change {
    const known = this.snapshot;
    if (!known || delta.graph !== known.graph || delta.version !== known.version + 1) return { kind: "none" };
    this.tune(delta.now);
    this.snapshot = {
      ...known,
      version: delta.version,
      now: delta.now,
      header: delta.header ?? known.header,
      nodes: { ...known.nodes, ...delta.nodes },
    };
    return { kind: "nodes", keys: Object.keys(delta.nodes) };
  }

  /** The kernel's time now. */
  now(): number {
    return this.clock() - (Number.isFinite(this.ahead) ? this.ahead : 0);
  }

  get over(): boolean {
    const header = this.snapshot?.header;
    return header !== undefined && header.ended !== undefined && FINAL.has(header.look);
  }

  private tune(sent: number): void {
    this.ahead = Math.min(this.ahead, this.clock() - sent);
  }
}
