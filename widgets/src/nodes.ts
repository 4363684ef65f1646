import { durationText, elapsed } from "./duration";
import { outline, svg } from "./elements";
import type { NodeFace } from "./types";

const RING = 11.5;
const AROUND = 2 * Math.PI * RING;

/** The second line of a box: "Failed · 2.0 s · 1 retry"; the most important parts that fit, in `most` characters. */
export function smallPrint(face: NodeFace, now: number, most = 80): string {
  const took = elapsed(face, now);
  const duration = took === undefined ? "" : durationText(took);
  const parts = face.total ? [face.note, duration] : [face.lead, duration, face.note];
  const said = parts.filter(Boolean);
  while (said.length > 1 && said.join(" · ").length > most) said.pop();
  return said.join(" · ");
}

/** "2.0 s, 1 retry": what is known beside the state. */
export function facts(face: NodeFace, now: number): string {
  const took = elapsed(face, now);
  return [took === undefined ? "" : durationText(took), face.note].filter(Boolean).join(", ");
}

/** One box in words, for its tooltip and for screen readers. */
export function spoken(face: NodeFace, now: number): string {
  const said = [face.word, facts(face, now)].filter(Boolean).join(", ");
  return `${face.name}: ${said}${face.message ? `. ${face.message}` : ""}`;
}

/** One box of the drawing. It touches the page only where something changed. */
export class NodeBox {
  face: NodeFace | undefined;
  private readonly shape: Element | null;
  private readonly name: Element | null;
  private readonly detail: Element | null;
  private readonly tip: Element | null;
  private ring: SVGElement | undefined;
  /** Where it is in the drawing. */
  private readonly x: number;
  private readonly y: number;
  /** How many characters of small print fit. */
  private readonly most: number;

  constructor(readonly group: SVGGElement) {
    this.shape = group.querySelector(".fb-icon");
    this.name = group.querySelector(".fb-name");
    this.detail = group.querySelector(".fb-detail");
    this.tip = group.querySelector("title");
    const box = group.querySelector(".fb-box");
    this.x = Number(box?.getAttribute("x"));
    this.y = Number(box?.getAttribute("y"));
    this.most = (Number(box?.getAttribute("width")) - 40) / 6.4;
    group.setAttribute("role", "listitem");
    group.setAttribute("tabindex", "-1");
  }

  show(face: NodeFace, now: number): void {
    if (face.look !== this.face?.look) {
      if (this.face) this.group.classList.remove(`fb-${this.face.look}`);
      this.group.classList.add(`fb-${face.look}`);
      this.shape?.setAttribute("d", `M${this.x + 11} ${this.y + 12}${outline(face.look)}`);
    }
    this.face = face;
    if (face.total !== undefined) this.showProgress((face.done ?? 0) / face.total);
    const said = spoken(face, now);
    this.group.setAttribute("aria-label", said);
    if (this.tip) this.tip.textContent = said;
    this.tick(now);
  }

  /** Bring the duration up to `now`. */
  tick(now: number): void {
    if (!this.face || !this.detail) return;
    const text = smallPrint(this.face, now, this.most);
    if (text === this.detail.textContent) return;
    this.detail.textContent = text;
    this.name?.setAttribute("y", String(this.y + (text ? 18 : 24)));
  }

  private showProgress(part: number): void {
    if (!this.ring) {
      const [cx, cy] = [this.x + 19, this.y + 20];
      const place = { cx, cy, r: RING };
      this.ring = svg("circle", { ...place, class: "fb-ring", transform: `rotate(-90 ${cx} ${cy})` });
      this.shape?.before(svg("circle", { ...place, class: "fb-track" }), this.ring);
    }
    this.ring.setAttribute("stroke-dasharray", `${(AROUND * part).toFixed(1)} ${AROUND.toFixed(1)}`);
  }
}
