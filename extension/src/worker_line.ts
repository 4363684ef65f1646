/** The line above the runs that says who executes deployments, and lets this server do it where nobody does. */

import type { FlowbookClient, Workers } from "./api";
import { element } from "./dom";
import { standing } from "./words";

export class WorkerLine {
  /** A live region: a screen reader says it when it changes. */
  readonly node = element("p", { class: "flowbook-workers", role: "status", "aria-label": "Workers" });

  constructor(
    private readonly client: Pick<FlowbookClient, "startWorker">,
    private readonly started: () => void,
  ) {
    this.button.addEventListener("click", () => void this.start());
  }

  show(found: Workers): void {
    const told = standing(found);
    const text = told?.text ?? "";
    if (this.said.textContent !== text) {
      this.said.textContent = text;
    }
    this.node.dataset.kind = told?.isProblem ? "problem" : "note";
    this.node.title = found.workers
      .map((worker) => `${worker.name}: ${worker.busy} of ${worker.slots} busy`)
      .join("\n");
    const mayStart = told?.mayStart ?? false;
    const parts = !told ? [] : mayStart ? [this.said, this.button] : [this.said];
    if (parts.length !== this.node.childElementCount) {
      this.node.replaceChildren(...parts);
    }
    if (!mayStart) {
      this.button.disabled = false;
    }
  }

  private async start(): Promise<void> {
    this.button.disabled = true;
    try {
      await this.client.startWorker();
      this.started();
    } catch (error) {
      this.said.textContent = (error as Error).message;
      this.button.disabled = false;
    }
  }

  private readonly said = element("span");
  private readonly button = element("button", { type: "button", class: "jp-mod-styled" }, "Start one");
}
