import { clockText, durationText, elapsed } from "./duration";
import { html, icon } from "./elements";
import type { Answer, Header } from "./types";

/** "54/57 tasks", "1 retry": what the header says after the names. */
export function tallies(header: Header): string[] {
  const tasks = header.total
    ? [`${header.done}/${header.total} ${header.total === 1 ? "task" : "tasks"}`]
    : [];
  const again = header.retries ? [header.retries === 1 ? "1 retry" : `${header.retries} retries`] : [];
  return [...tasks, ...again];
}

/** The line above the graph, and the counts below that line, which are filters. */
export class HeaderPane {
  readonly element = html("div", { class: "fb-head" });
  private readonly badge = html("span", { class: "fb-badge" });
  private readonly title = html("span", { class: "fb-title" });
  private readonly time = html("span", { class: "fb-time" });
  private readonly facts = html("span", { class: "fb-facts" });
  private readonly counts = html("div", {
    class: "fb-counts",
    role: "group",
    "aria-label": "Tasks by state",
  });
  private readonly story = html("div", { class: "fb-story" });
  private readonly announced = html("div", { class: "fb-hidden", role: "status", "aria-live": "polite" });
  private header: Header | undefined;
  private pressed: string | undefined;
  private readonly button = html("button", { type: "button", class: "fb-zoom", hidden: "" }, "Cancel");
  private readonly said = html("span", { class: "fb-facts", role: "status" });
  private askToCancel: (() => Promise<Answer | undefined>) | undefined;

  constructor(private readonly filter: (look: string | undefined) => void) {
    const line = html(
      "div",
      { class: "fb-line" },
      this.badge,
      this.title,
      this.time,
      this.facts,
      this.button,
      this.said,
    );
    this.element.append(line, this.counts, this.story, this.announced);
  }

  /** Offer to cancel the run while it goes on; `ask` asks for it. */
  offerCancel(ask: () => Promise<Answer | undefined>): void {
    this.askToCancel = ask;
    this.button.addEventListener("click", () => this.cancel());
  }

  /** Cancel the run, where that is offered. */
  async cancel(): Promise<void> {
    if (this.button.hidden || this.button.ariaDisabled === "true" || !this.askToCancel) return;
    this.acknowledge(true);
    this.said.textContent = "";
    const answer = await this.askToCancel();
    const problem = answer
      ? answer.problem
      : "The kernel does not hear it while it is busy: interrupt it (■).";
    this.acknowledge(!problem);
    this.said.textContent = this.header?.ended === undefined ? (problem ?? "") : "";
  }

  /** The button itself says that it was pressed. */
  private acknowledge(pressed: boolean): void {
    this.button.setAttribute("aria-disabled", String(pressed)); // and keeps the focus
    this.button.textContent = pressed ? "Cancelling…" : "Cancel";
  }

  /** Say something beside the names. */
  say(text: string): void {
    this.said.textContent = text;
  }

  /** What failed is said elsewhere, until the whole story is told. */
  hideProblem(): void {
    this.story.hidden = !this.header?.sentence;
  }

  show(header: Header, now: number): void {
    const before = this.header;
    this.header = header;
    if (before?.look !== header.look || before.word !== header.word) {
      this.badge.className = `fb-badge fb-${header.look}`;
      this.badge.replaceChildren(icon(header.look), header.word);
    }
    this.title.replaceChildren(...titleParts(header));
    const over = header.ended !== undefined;
    this.button.hidden = over || !this.askToCancel || header.started === undefined;
    if (over) this.said.textContent = "";
    this.facts.textContent = tallies(header).join(" · ");
    this.showCounts(header.counts);
    const story = header.sentence ?? header.problem ?? "";
    if (this.story.textContent !== story) this.story.textContent = story;
    if (header.sentence) this.story.hidden = false;
    this.story.classList.toggle(
      "fb-bad",
      /^(failed|crashed)$/.test(header.look) || (!header.sentence && !!story),
    );
    if (header.sentence && this.announced.textContent !== header.sentence)
      this.announced.textContent = header.sentence;
    this.tick(now);
  }

  tick(now: number): void {
    if (!this.header) return;
    const took = elapsed(this.header, now);
    const over = this.header.ended !== undefined;
    const text = took === undefined ? "" : over ? durationText(took) : clockText(took);
    if (this.time.textContent !== text) this.time.textContent = text;
  }

  private showCounts(counts: Record<string, number>): void {
    const shown = [...this.counts.querySelectorAll("button")];
    const looks = Object.keys(counts);
    if (shown.map((button) => button.dataset.look).join() !== looks.join()) {
      this.counts.replaceChildren(...looks.map((look) => this.countButton(look)));
    }
    for (const button of this.counts.querySelectorAll("button")) {
      const text = `${counts[button.dataset.look ?? ""]} ${words(button.dataset.look ?? "")}`;
      const label = button.lastChild;
      if (label && label.nodeValue !== text) label.nodeValue = text;
    }
  }

  private countButton(look: string): HTMLButtonElement {
    const pressed = String(this.pressed === look);
    const button = html("button", { type: "button", class: `fb-count fb-${look}`, "aria-pressed": pressed });
    button.dataset.look = look;
    button.append(icon(look), "");
    button.addEventListener("click", () => {
      this.pressed = this.pressed === look ? undefined : look;
      for (const other of this.counts.querySelectorAll("button")) {
        other.setAttribute("aria-pressed", String(other.dataset.look === this.pressed));
      }
      this.filter(this.pressed);
    });
    return button;
  }
}

function titleParts(header: Header): (Node | string)[] {
  const flow = html("bdi", { class: "fb-flow" }, header.flow || "Run");
  return header.name ? [flow, " ", html("bdi", { class: "fb-run" }, header.name)] : [flow];
}

function words(look: string): string {
  return look === "not-run" ? "not run" : look;
}
