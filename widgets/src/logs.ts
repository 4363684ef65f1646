import { plain } from "./ansi";
import { clockText } from "./duration";
import { html } from "./elements";
import type { Sought } from "./find";
import type { Kernel } from "./kernel";
import type { Pane } from "./panes";
import type { LogLine, Snapshot } from "./types";

/** Milliseconds between two looks for new lines. */
const EVERY = 1000;
const BUSY = "The kernel does not answer while it is busy; the log comes once the cell has ended.";

/** The lines that a run has logged, or a task of it; asked for while they are looked at. */
export class LogPane implements Pane {
  readonly element = html("div", { class: "fb-logs" });
  private readonly said = html("div", { class: "fb-empty", role: "status" });
  private readonly lines = html("div", {
    class: "fb-lines",
    role: "log",
    tabindex: "0",
    "aria-label": "Log",
    "aria-live": "off",
  });
  private seen = 0;
  private looked = Number.NEGATIVE_INFINITY;
  private asking = false;
  private over = false;
  private opened = false;

  constructor(
    private readonly kernel: Kernel,
    private readonly node?: string,
  ) {
    this.element.append(this.said, this.lines);
  }

  update(snapshot: Snapshot, _now: number, sought: Sought): void {
    if (!this.asking && !this.over && performance.now() - this.looked >= EVERY) void this.look(snapshot);
    const text = this.node ? "" : (sought.text ?? "").trim().toLocaleLowerCase();
    for (const line of this.lines.children) {
      line.classList.toggle("fb-dim", !!text && !line.textContent?.toLocaleLowerCase().includes(text));
    }
  }

  private async look({ header }: Snapshot): Promise<void> {
    this.asking = true;
    const node = this.node ? { node: this.node } : {};
    const answer = await this.kernel.ask({ what: "logs", after: this.seen, ...node });
    this.asking = false;
    this.looked = performance.now();
    if (!answer) {
      this.said.textContent = BUSY;
      return;
    }
    this.over = header.ended !== undefined;
    this.add(answer.lines ?? [], header.started ?? 0);
    this.seen = answer.seen ?? this.seen;
    this.said.textContent = this.lines.childElementCount ? "" : "Nothing has been logged.";
  }

  /** New lines come into view where the end was in view; at first the first error does, if there is one. */
  private add(lines: LogLine[], begin: number): void {
    const box = this.lines;
    const atEnd = box.scrollHeight - box.scrollTop - box.clientHeight < 8;
    box.append(...lines.map((line) => logLine(line, begin)));
    const wrong = this.opened ? null : box.querySelector<HTMLElement>(".fb-log-error");
    if (wrong) box.scrollTop = wrong.offsetTop - box.offsetTop;
    else if (atEnd) box.scrollTop = box.scrollHeight;
    if (lines.length) this.opened = true;
  }
}

/** One line of a log; `begin` is when the run began. */
export function logLine(line: LogLine, begin: number): HTMLElement {
  const bad = /^(error|critical)$/i.test(line.level);
  return html(
    "div",
    { class: bad ? "fb-log fb-log-error" : "fb-log" },
    html("span", { class: "fb-at" }, clockText(line.time - begin)),
    html("span", { class: "fb-level" }, line.level),
    ...(line.task ? [html("bdi", { class: "fb-who" }, line.task)] : []),
    html("span", { class: "fb-what" }, plain(line.message)),
  );
}
