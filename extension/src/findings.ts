/** What the check of a notebook has found: where, why, the way out, and a button that goes there. */

import { element } from "./dom";
import type { Finding } from "./promoting";
import { counted, where } from "./words";

/** Shows a cell of the notebook, and a line of it if one is meant; counts as `Finding` does. */
export type GoTo = (cell: number, line: number | null) => void;

export function findingsList(findings: Finding[], go: GoTo): HTMLElement {
  const heading = element("h3", {}, `Check: ${counted(findings)}`);
  const section = element("section", { class: "flowbook-findings", "aria-label": "Check" }, heading);
  if (findings.length > 0) {
    const errorsFirst = [...findings].sort((a, b) => a.severity.localeCompare(b.severity));
    section.append(element("ul", {}, ...errorsFirst.map((finding) => item(finding, go))));
  }
  return section;
}

function item(finding: Finding, go: GoTo): HTMLElement {
  const { severity, cell, line, why, fix } = finding;
  const kind = element("strong", {}, severity === "error" ? "Error" : "Warning");
  const text = element("span", {}, kind, ` ${where(finding)}: ${why} ${fix}`);
  const made = element("li", { "data-severity": severity }, text);
  if (cell !== null) {
    const name = `Go to ${where(finding).toLowerCase()}`;
    const button = element("button", { type: "button", class: "jp-mod-styled", "aria-label": name }, "Go");
    button.addEventListener("click", () => go(cell, line));
    made.append(button);
  }
  return made;
}
