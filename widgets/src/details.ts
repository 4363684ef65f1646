import { plain } from "./ansi";
import { html, icon } from "./elements";
import type { Kernel } from "./kernel";
import { LogPane } from "./logs";
import { facts } from "./nodes";
import type { Answer, Frame, NodeFace, Snapshot } from "./types";

const BUSY = "More is known once the cell has ended: the kernel does not answer while it is busy.";

/** What is known of one task. What the snapshot does not say the kernel is asked for, when a task is opened. */
export class DetailsPane {
  readonly element = html("div", { class: "fb-details" });
  private readonly head = html("div", { class: "fb-line" });
  private readonly more = html("div", { class: "fb-more" });
  private key: string | undefined;
  private asked = "";
  private logs: LogPane | undefined;
  private log = html("details", { class: "fb-fold" });

  constructor(private readonly kernel: Kernel) {}

  /** Show the task of this key, or nothing. */
  show(key: string | undefined, snapshot: Snapshot | undefined, now: number): void {
    const face = key === undefined ? undefined : snapshot?.nodes[key];
    if (!face || key === undefined || !snapshot) {
      this.key = undefined;
      this.element.replaceChildren();
      return;
    }
    if (key !== this.key) this.open(key);
    const badge = html("span", { class: `fb-badge fb-${face.look}` }, icon(face.look), face.word);
    const attempts = (face.attempts ?? 0) > 1 ? `${face.attempts} attempts` : "";
    const said = [facts({ ...face, note: face.total ? face.note : "" }, now), attempts].filter(Boolean);
    const message = face.message ? [html("div", { class: "fb-message" }, plain(face.message))] : [];
    this.head.replaceChildren(
      badge,
      html("bdi", { class: "fb-flow" }, face.name),
      html("span", {}, said.join(", ")),
      ...message,
    );
    const state = `${key} ${face.look} ${face.total ? face.note : ""}`;
    if (state !== this.asked) void this.ask(key, state);
    if (this.log.open) this.logs?.update(snapshot, now, {});
  }

  private open(key: string): void {
    this.key = key;
    this.asked = "";
    this.more.replaceChildren();
    this.logs = new LogPane(this.kernel, key);
    this.log = html("details", { class: "fb-fold" }, html("summary", {}, "Log"), this.logs.element);
    this.element.replaceChildren(this.head, this.more, this.log);
  }

  private async ask(key: string, state: string): Promise<void> {
    this.asked = state;
    const answer = await this.kernel.ask({ what: "details", node: key });
    if (this.asked === state) this.more.replaceChildren(...(answer ? described(answer) : [BUSY]));
  }
}

function described(answer: Answer): Node[] {
  const parts: Node[] = [];
  if (answer.facts?.length) parts.push(pairs("", answer.facts));
  if (answer.inputs?.length) parts.push(pairs("Inputs", answer.inputs));
  if (answer.result?.length) parts.push(pairs("Result", answer.result));
  if (answer.frames?.length) {
    const title = html("div", { class: "fb-title-of" }, "Traceback, the last call last");
    parts.push(title, ...traceback(answer.frames));
  }
  if (answer.members?.length) parts.push(members(answer.members, answer.more ?? 0));
  return parts;
}

export function pairs(title: string, said: [string, string][]): HTMLElement {
  const rows = said.flatMap(([name, text]) => [
    html("dt", {}, html("bdi", {}, name)),
    html("dd", {}, html("bdi", {}, plain(text))),
  ]);
  const list = html("dl", { class: title ? "fb-pairs fb-code" : "fb-pairs" }, ...rows);
  return title ? html("section", {}, html("div", { class: "fb-title-of" }, title), list) : list;
}

/** The user's own lines, then all of them to unfold. */
export function traceback(frames: Frame[]): Node[] {
  const own = frames.filter((frame) => frame.own);
  const list = (shown: Frame[]) =>
    html(
      "div",
      { class: "fb-code" },
      ...shown.flatMap(({ where, code }) => [
        html("div", { class: "fb-facts" }, where),
        html("div", { class: "fb-source" }, plain(code)),
      ]),
    );
  const first = own.length ? own : frames;
  const parts: Node[] = [list(first)];
  if (first.length < frames.length) {
    const title = `All ${frames.length} frames`;
    parts.push(html("details", { class: "fb-fold" }, html("summary", {}, title), list(frames)));
  }
  return parts;
}

function members(faces: NodeFace[], more: number): HTMLElement {
  const items = faces.map((face) =>
    html(
      "li",
      { class: `fb-${face.look}` },
      html("span", { class: "fb-cell" }, icon(face.look), face.word),
      html("bdi", {}, face.name),
      html("span", { class: "fb-facts" }, facts(face, Number.NaN)),
      ...(face.message ? [html("bdi", { class: "fb-code" }, plain(face.message))] : []),
    ),
  );
  const rest = more ? [html("li", { class: "fb-facts" }, `and ${more} more`)] : [];
  return html("ul", { class: "fb-members", tabindex: "0", "aria-label": "Task runs" }, ...items, ...rest);
}
