/** The deployments in the panel: when each runs, and its next run. */

import type { DeploymentSummary } from "./api";
import { element } from "./dom";
import { deploymentText } from "./words";

export class DeploymentList {
  readonly node = element("section", { class: "flowbook-deployments", "aria-label": "Deployments" });

  constructor() {
    this.node.append(element("h2", {}, "Deployments"), this.list);
    this.node.hidden = true;
  }

  show(deployments: DeploymentSummary[]): void {
    const print = JSON.stringify(deployments);
    if (print !== this.print) {
      this.print = print;
      this.wanted ||= this.focused();
      this.rows = new Map(deployments.map((each) => [each.name, row(each)]));
      this.list.replaceChildren(...this.rows.values());
      this.node.hidden = deployments.length === 0;
    }
    this.rows.get(this.wanted)?.focus();
    this.wanted = "";
  }

  /** Move the focus to a deployment, as soon as it is shown. */
  focus(name: string): void {
    this.wanted = name;
  }

  private focused(): string {
    const active = document.activeElement;
    return [...this.rows].find(([, node]) => node === active)?.[0] ?? "";
  }

  private print = "";
  private wanted = "";
  private rows = new Map<string, HTMLElement>();
  private readonly list = element("ul");
}

function row(deployment: DeploymentSummary): HTMLElement {
  return element(
    "li",
    { class: "flowbook-deployment", tabindex: "-1" },
    element(
      "div",
      { class: "flowbook-line" },
      element("strong", {}, deployment.name),
      element("span", {}, `v${deployment.version}`),
    ),
    element("div", {}, deploymentText(deployment)),
  );
}
