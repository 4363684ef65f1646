import { durationText } from "./duration";
import { html, icon } from "./elements";
import { isSought, type Sought } from "./find";
import { facts, spoken } from "./nodes";
import type { Pane } from "./panes";
import type { NodeFace, Snapshot } from "./types";

/** What was when: a bar for each task, on an axis from the start of the run to its end, or to now. */
export class TimelinePane implements Pane {
  readonly element = html("div", { class: "fb-timeline" });
  private readonly axis = html("div", { class: "fb-axis", "aria-hidden": "true" });
  private readonly list = html("div", { role: "list", "aria-label": "Tasks over time" });
  private rows = new Map<string, Row>();

  constructor(private readonly select: (key: string) => void) {
    this.element.append(this.axis, this.list);
  }

  update(snapshot: Snapshot, now: number, sought: Sought): void {
    const { header, nodes } = snapshot;
    const starts = Object.values(nodes).flatMap((face) => face.started ?? []);
    const begin = Math.min(header.started ?? now, ...starts);
    const span = Math.max((header.ended ?? now) - begin, 0.001);
    this.axis.replaceChildren(
      ...[0, 0.25, 0.5, 0.75, 1].map((part) => html("span", {}, durationText(part * span))),
    );
    const keys = Object.keys(nodes);
    if (keys.join() !== [...this.rows.keys()].join()) this.build(keys);
    for (const [key, row] of this.rows) {
      const face = nodes[key] as NodeFace;
      row.show(face, begin, span, now);
      row.element.classList.toggle("fb-dim", !isSought(face, sought));
    }
  }

  private build(keys: string[]): void {
    this.rows = new Map(keys.map((key) => [key, new Row(() => this.select(key))]));
    this.list.replaceChildren(...[...this.rows.values()].map((row) => row.element));
  }
}

class Row {
  readonly element = html("div", { class: "fb-row", role: "listitem" });
  private readonly button = html("button", { type: "button", class: "fb-link" });
  private readonly bar = html("div", { class: "fb-bar" });
  private readonly took = html("span", { class: "fb-took" });
  private look = "";

  constructor(select: () => void) {
    this.element.append(this.button, html("div", { class: "fb-lane" }, this.bar, this.took));
    this.element.addEventListener("click", select);
  }

  show(face: NodeFace, begin: number, span: number, now: number): void {
    if (face.look !== this.look) {
      this.look = face.look;
      this.element.className = `fb-row fb-${face.look}`;
      this.button.replaceChildren(icon(face.look), html("bdi", {}, face.name));
    }
    this.button.setAttribute("aria-label", spoken(face, now));
    this.bar.hidden = face.started === undefined;
    const from = ((face.started ?? begin) - begin) / span;
    const to = Math.min(1, ((face.ended ?? now) - begin) / span);
    this.bar.style.left = `${(from * 100).toFixed(2)}%`;
    this.bar.style.width = `${(Math.max(0, to - from) * 100).toFixed(2)}%`;
    this.took.textContent = facts(face, now) || face.word;
    const after = face.started === undefined ? 0 : to;
    const left = after > 0.75; // a bar that ends far right has its words before it
    this.took.style.left = left ? "" : `${(after * 100).toFixed(2)}%`;
    this.took.style.right = left ? `${((1 - from) * 100).toFixed(2)}%` : "";
  }
}
