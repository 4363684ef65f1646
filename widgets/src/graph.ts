import { html } from "./elements";
import { isSought, type Sought } from "./find";
import { NodeBox } from "./nodes";
import { safeSvg } from "./sanitize";
import type { NodeFace } from "./types";
import { Viewport } from "./viewport";

/** Below this scale text cannot be read: icons take its place. */
const FAR = 0.5;
/** Below this one icons cannot be told apart either: boxes are dots of their colour. */
const DOTS = 0.15;
/** Only so many boxes move gently: more would keep the browser busy with painting. */
const FEW = 100;

/** The drawing in its frame, its boxes reachable by Tab and the arrow keys. */
export class GraphPane {
  readonly element = html("div", { class: "fb-frame" });
  private drawing: SVGSVGElement | undefined;
  private boxes = new Map<string, NodeBox>();
  private after = new Map<string, string[]>();
  private before = new Map<string, string[]>();
  private far = false;
  private active = "";
  private sought: Sought = {};
  readonly viewport: Viewport;

  constructor(
    private readonly select: (key: string | undefined) => void,
    rescaled: (scale: number, fitting: number) => void,
  ) {
    this.viewport = new Viewport(this.element, (scale, fitting) => {
      this.far = scale < FAR;
      this.drawing?.classList.toggle("fb-far", this.far);
      this.drawing?.classList.toggle("fb-dots", scale < DOTS);
      rescaled(scale, fitting);
    });
    this.element.addEventListener("click", (event) => this.pick(event.target as Element));
    this.element.addEventListener("keydown", (event) => this.key(event));
    this.element.addEventListener("focusin", (event) => this.enter(event.target as Element));
  }

  /** Draw a new shape; says whether that was possible. */
  draw(source: string): boolean {
    const drawing = source ? safeSvg(source) : null;
    this.boxes.clear();
    this.after.clear();
    this.before.clear();
    this.drawing = drawing ?? undefined;
    this.element.replaceChildren(...(drawing ? [drawing] : []));
    this.viewport.show(this.drawing);
    if (!drawing) return false;
    drawing.setAttribute("role", "list");
    drawing.setAttribute("aria-label", "Tasks of this run");
    drawing.querySelector(".fb-edges")?.setAttribute("aria-hidden", "true");
    for (const group of drawing.querySelectorAll<SVGGElement>("[data-node]")) {
      this.boxes.set(group.dataset.node ?? "", new NodeBox(group));
    }
    for (const edge of drawing.querySelectorAll<SVGPathElement>(".fb-edge")) {
      const { from = "", to = "" } = edge.dataset;
      push(this.after, from, to);
      push(this.before, to, from);
    }
    drawing.classList.toggle("fb-few", this.boxes.size <= FEW);
    this.rove(this.boxes.has(this.active) ? this.active : (this.boxes.keys().next().value ?? ""));
    return true;
  }

  show(faces: Record<string, NodeFace>, keys: string[], now: number): void {
    for (const key of keys) {
      const face = faces[key];
      if (face) this.boxes.get(key)?.show(face, now);
    }
    if (this.sought.look || this.sought.text) this.seek(this.sought);
  }

  tick(now: number): void {
    if (this.far) return;
    for (const box of this.boxes.values()) {
      if (box.face?.started !== undefined && box.face.ended === undefined) box.tick(now);
    }
  }

  /** Leave bright only what is looked for; returns the keys of that. */
  seek(sought: Sought): string[] {
    this.sought = sought;
    const found: string[] = [];
    for (const [key, { group, face }] of this.boxes) {
      const is = isSought(face, sought);
      group.classList.toggle("fb-dim", !is);
      if (is) found.push(key);
    }
    return found;
  }

  /** Bring the box of this key into view; the focus stays where it is. */
  reveal(key: string): void {
    this.boxes.get(key)?.group.scrollIntoView({ block: "nearest", inline: "nearest" });
  }

  /** Mark the chosen box, or none. */
  mark(key: string | undefined): void {
    for (const [other, { group }] of this.boxes) group.classList.toggle("fb-chosen", other === key);
  }

  /** Give the focus to the box that has the Tab stop. */
  enterFocus(): void {
    this.focus(this.active);
  }

  /** The next failed box after the active one, or the previous one. */
  goToFailed(back: boolean): void {
    const keys = [...this.boxes.keys()];
    const at = keys.indexOf(this.active);
    const others = [...keys.slice(at + 1), ...keys.slice(0, at)];
    const failed = (key: string) => /^(failed|crashed)$/.test(this.boxes.get(key)?.face?.look ?? "");
    const next = (back ? others.reverse() : others).find(failed);
    if (next) this.focus(next);
  }

  private pick(target: Element): void {
    const key = keyOf(target);
    if (key) this.focus(key);
    else this.select(undefined);
  }

  private enter(target: Element): void {
    const key = keyOf(target);
    if (!key) return;
    this.rove(key);
    this.select(key);
  }

  private key(event: KeyboardEvent): void {
    const next = this.neighbour(event.key);
    if (!next) return;
    this.focus(next);
    event.preventDefault();
    event.stopPropagation();
  }

  /** Left and right follow the edges; up and down go through the boxes in order. */
  private neighbour(key: string): string | undefined {
    const keys = [...this.boxes.keys()];
    const at = keys.indexOf(this.active);
    switch (key) {
      case "ArrowRight":
        return this.after.get(this.active)?.[0];
      case "ArrowLeft":
        return this.before.get(this.active)?.[0];
      case "ArrowDown":
        return keys[at + 1];
      case "ArrowUp":
        return keys[at - 1];
      case "Home":
        return keys[0];
      case "End":
        return keys.at(-1);
      default:
        return undefined;
    }
  }

  private focus(key: string): void {
    this.boxes.get(key)?.group.focus();
  }

  /** One Tab stop for the whole graph. */
  private rove(key: string): void {
    this.boxes.get(this.active)?.group.setAttribute("tabindex", "-1");
    this.active = key;
    this.boxes.get(key)?.group.setAttribute("tabindex", "0");
  }
}

function keyOf(target: Element): string | undefined {
  return target.closest<SVGGElement>("[data-node]")?.dataset.node;
}

function push(lists: Map<string, string[]>, key: string, value: string): void {
  const list = lists.get(key);
  if (list) list.push(value);
  else lists.set(key, [value]);
}
