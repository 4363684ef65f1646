/** The runs, newest first, in JupyterLab's left side bar. */

import type { Message } from "@lumino/messaging";
import { Poll } from "@lumino/polling";
import { Widget } from "@lumino/widgets";
import type { FlowbookClient, RunSummary } from "./api";
import { DeploymentList } from "./deployment_list";
import { element } from "./dom";
import { flowIcon, stateIcon } from "./icons";
import { progress, tally, times } from "./words";
import { WorkerLine } from "./worker_line";

export interface PanelActions {
  /** Promote the current notebook. */
  promote(): void;
  /** Open a file of the server in JupyterLab. */
  open(path: string): void;
}

export class RunsPanel extends Widget {
  constructor(
    private readonly client: FlowbookClient,
    private readonly actions: PanelActions,
  ) {
    super();
    this.id = "flowbook-runs";
    this.title.icon = flowIcon;
    this.title.caption = "flowbook: runs";
    this.addClass("flowbook-panel");
    this.node.setAttribute("role", "region");
    this.node.setAttribute("aria-label", "flowbook runs");
    this.workers = new WorkerLine(client, () => this.refresh());
    const heading = element("h2", {}, "Runs ", this.summary);
    this.node.append(
      this.deployments.node,
      element("header", {}, heading, this.workers.node),
      this.trouble,
      this.empty(),
      this.list,
    );
    this.poll = new Poll({
      name: "flowbook:runs",
      frequency: { interval: 2000, backoff: 2, max: 30_000 },
      standby: () => !this.isVisible || document.hidden,
      factory: () => this.fetch(),
    });
  }

  /** Ask the server now instead of at the next tick. */
  refresh(): void {
    void this.poll.refresh();
  }

  /** Move the focus to a deployment as soon as the server has told of it. */
  showDeployment(name: string): void {
    this.deployments.focus(name);
    this.refresh();
  }

  override dispose(): void {
    this.poll.dispose();
    super.dispose();
  }

  protected override onAfterShow(msg: Message): void {
    super.onAfterShow(msg);
    this.refresh();
  }

  private async fetch(): Promise<void> {
    try {
      const asked = [this.client.runs(), this.client.workers(), this.client.deployments()] as const;
      const [runs, workers, deployments] = await Promise.all(asked);
      this.showRuns(runs);
      this.deployments.show(deployments);
      this.workers.show(workers);
      this.trouble.textContent = "";
    } catch (error) {
      this.trouble.textContent = `${(error as Error).message} The list may be out of date.`;
      throw error;
    }
  }

  private showRuns(runs: RunSummary[]): void {
    const now = Date.now() / 1000;
    const rows = runs.map((run) => this.row(run, now));
    if (rows.length !== this.list.children.length || rows.some((row, i) => row !== this.list.children[i])) {
      this.list.replaceChildren(...rows);
    }
    const shown = new Set(runs.map((run) => run.id));
    for (const id of [...this.rows.keys()].filter((id) => !shown.has(id))) {
      this.rows.delete(id);
    }
    this.summary.textContent = tally(runs);
    this.node.classList.toggle("flowbook-is-empty", runs.length === 0);
  }

  /** The row of a run; made anew only when the run has changed, so that the focus on its links stays. */
  private row(run: RunSummary, now: number): HTMLElement {
    const known = this.rows.get(run.id);
    const print = JSON.stringify(run);
    if (known?.print === print) {
      known.times.textContent = times(run, now);
      return known.node;
    }
    const when = element("div", { class: "flowbook-times" }, times(run, now));
    const node = element(
      "li",
      { class: "flowbook-run", "data-look": run.look, title: run.name },
      stateIcon(run.look),
      element(
        "div",
        {},
        element(
          "div",
          { class: "flowbook-line" },
          element("strong", {}, run.word),
          element("span", {}, `${run.deployment ?? run.flow} · run ${run.number}`),
        ),
        element("div", { class: "flowbook-why", title: progress(run) }, progress(run)),
        when,
        ...this.links(run),
      ),
    );
    this.rows.set(run.id, { node, times: when, print });
    return node;
  }

  private links(run: RunSummary): HTMLElement[] {
    const links: HTMLElement[] = [];
    const about = `of run ${run.number}`;
    if (run.notebook) {
      const href = this.client.address(run.notebook);
      const link = element("a", { href, download: "", "aria-label": `Notebook ${about}` }, "Notebook");
      const path = run.notebook_path;
      if (path) {
        link.addEventListener("click", (event) => {
          event.preventDefault();
          this.actions.open(path);
        });
      }
      links.push(link);
    }
    if (run.html) {
      links.push(this.page(run.html, "Report", about));
    }
    if (run.diff) {
      links.push(this.page(run.diff, "Compare with previous run", `(${run.previous} with ${run.number})`));
    }
    return links.length ? [element("div", { class: "flowbook-links" }, ...links)] : [];
  }

  /** A link to a page of the server in a new tab; `about` says, to those who do not see its row, of what it is. */
  private page(address: string, text: string, about: string): HTMLElement {
    const where = {
      href: this.client.address(address),
      target: "_blank",
      rel: "noopener",
      "aria-label": `${text} ${about}, in a new tab`,
    };
    return element("a", where, text);
  }

  private empty(): HTMLElement {
    const button = element("button", { type: "button", class: "jp-mod-styled" }, "Promote a notebook");
    button.addEventListener("click", () => this.actions.promote());
    const magic = element("code", {}, "%flow run");
    return element("div", { class: "flowbook-empty" }, "Nothing has run here. ", magic, ", or ", button);
  }

  private readonly poll: Poll;
  private readonly deployments = new DeploymentList();
  private readonly workers: WorkerLine;
  private readonly rows = new Map<string, { node: HTMLElement; times: HTMLElement; print: string }>();
  private readonly summary = element("span", { class: "flowbook-tally" });
  private readonly trouble = element("p", {
    class: "flowbook-problem",
    role: "status",
    "aria-label": "Problems",
  });
  private readonly list = element("ul", { "aria-label": "Runs, newest first" });
}
