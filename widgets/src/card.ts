import { plain } from "./ansi";
import { pairs, traceback } from "./details";
import { html, icon } from "./elements";
import type { Kernel } from "./kernel";
import { logLine } from "./logs";
import type { Failure, Snapshot } from "./types";

/** Why the run failed, or is going to: the task that failed first. The kernel is asked for it. */
export class CardPane {
  readonly element = html("section", { class: "fb-card", "aria-label": "Why the run failed", hidden: "" });
  private asked = "";

  constructor(
    private readonly kernel: Kernel,
    private readonly select: (name: string) => void,
    private readonly shown: () => void,
  ) {}

  /** Bring the card up to date: when something has failed, and when more is known not to run because of it. */
  update({ header }: Snapshot): void {
    const state = header.failed ? `${header.failed} ${header.counts["not-run"] ?? 0}` : "";
    if (state === this.asked) return;
    this.asked = state;
    if (state) void this.ask(state, header.started ?? 0);
    else this.element.hidden = true;
  }

  /** Open the traceback, or close it. */
  toggleTraceback(): void {
    const fold = this.element.querySelector<HTMLDetailsElement>(".fb-trace");
    if (!fold) return;
    fold.open = !fold.open;
    fold.querySelector<HTMLElement>("summary")?.focus();
  }

  private async ask(state: string, begin: number): Promise<void> {
    const { failure } = (await this.kernel.ask({ what: "failure" })) ?? {};
    if (this.asked !== state || !failure) return;
    const open = [...this.element.querySelectorAll<HTMLDetailsElement>("details[open]")].map(titleOf);
    this.element.replaceChildren(...this.parts(failure, begin));
    for (const fold of this.element.querySelectorAll("details")) fold.open = open.includes(titleOf(fold));
    this.element.hidden = false;
    this.shown();
  }

  private parts(failure: Failure, begin: number): Node[] {
    const task = html("button", { type: "button", class: "fb-link" }, html("bdi", {}, failure.title));
    task.addEventListener("click", () => this.select(failure.task));
    const parts: Node[] = [
      html("div", { class: `fb-badge fb-${failure.look}` }, icon(failure.look), task),
      html("div", { class: "fb-message" }, plain(failure.message)),
    ];
    if (failure.source) parts.push(html("div", { class: "fb-source" }, `> ${failure.source}`));
    if (failure.inputs.length) parts.push(pairs("Inputs", failure.inputs));
    if (failure.last_success) parts.push(html("div", {}, `Last success: ${failure.last_success}`));
    if (failure.not_run) parts.push(html("div", {}, "Not run: ", html("bdi", {}, failure.not_run)));
    const { frames, log } = failure;
    if (log.length) {
      const lines = log.map((line) => logLine(line, begin));
      parts.push(fold("Log", `Log, the last ${log.length}`, html("div", { class: "fb-lines" }, ...lines)));
    }
    if (frames.length) parts.push(fold("fb-trace", "Traceback, the last call last", ...traceback(frames)));
    return parts;
  }
}

function fold(name: string, title: string, ...inside: Node[]): HTMLElement {
  return html("details", { class: `fb-fold ${name}` }, html("summary", {}, title), ...inside);
}

function titleOf(fold: HTMLDetailsElement): string {
  return fold.querySelector("summary")?.textContent?.split(",")[0] ?? "";
}
