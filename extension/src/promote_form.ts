/** The form of the Promote dialog: what is asked, what was found, what is captured. */

import { Debouncer } from "@lumino/polling";
import { Widget } from "@lumino/widgets";
import { type FlowbookClient, Refused } from "./api";
import { DataFields } from "./data_fields";
import { element } from "./dom";
import { choice, FieldRow, line } from "./field_row";
import { findingsList, type GoTo } from "./findings";
import { ParameterFields } from "./parameter_fields";
import type { Captured, Draft, Finding, PromoteRequest, Values } from "./promoting";
import { WhenFields } from "./when_fields";
import { capturedText, counted, stem, where } from "./words";

const OVERLAPS = [
  ["queue", "Wait until it ends"],
  ["skip", "Skip the new run"],
  ["cancel-previous", "Cancel the old run"],
] as const;

export class PromoteForm extends Widget {
  /** `settled` is called whenever the answer to whether it can be promoted may have changed. */
  constructor(
    private readonly client: FlowbookClient,
    readonly path: string,
    private readonly go: GoTo,
    private readonly settled: () => void,
  ) {
    super();
    this.addClass("flowbook-promote");
    const check = (values: Values) => client.parameterProblems(path, this.flow, values);
    this.parameters = new ParameterFields(check, settled);
    this.data = new DataFields(settled);
    this.when = new WhenFields(client, settled);
    this.drafting = new Debouncer(() => this.draw(), 250);
    this.name.control.addEventListener("input", () => {
      this.isNamed = true;
      void this.drafting.invoke();
    });
    this.force.addEventListener("change", settled);
    this.name.control.value = stem(path);
    this.rest.hidden = true;
    this.rest.append(
      this.parameters.node,
      this.when.node,
      this.settings,
      this.data.node,
      this.found,
      this.anyway,
      this.captured,
    );
    this.node.append(this.name.node, this.flows, this.trouble, this.rest);
  }

  /** Ask the server what there is to ask, and show it. */
  async draw(): Promise<void> {
    const [asked, flow] = [this.name.control.value.trim(), this.flow];
    try {
      // A flow of the notebook may have a name of its own.
      const draft = await this.client.draft(this.path, this.isNamed ? asked : "", flow);
      if (!this.isDisposed && this.name.control.value.trim() === asked && this.flow === flow) {
        if (!this.isNamed) {
          this.name.control.value = draft.name;
        }
        this.showDraft(draft);
      }
    } catch (error) {
      this.trouble.textContent = (error as Error).message;
    }
    this.settled();
  }

  /** The draft as shown last. */
  draft: Draft | null = null;

  get request(): Omit<PromoteRequest, "run_once"> {
    return {
      path: this.path,
      name: this.name.control.value.trim(),
      flow: this.flow,
      ...this.when.request,
      overlap: this.overlap.control.value,
      pool: this.pool.control.value,
      parameters: this.parameters.values,
      data: this.data.declared,
      force: this.force.checked,
    };
  }

  /** Why it cannot be promoted as it stands, as a sentence; empty if it can. */
  get obstacle(): string {
    if (!this.draft) {
      return this.trouble.textContent ? "The notebook cannot be promoted." : "Reading the notebook…";
    }
    if (isUnclear(this.draft)) {
      return "Choose the flow.";
    }
    if (!this.draft.captured) {
      return "The notebook cannot be read: correct the error.";
    }
    if (!this.name.control.value.trim()) {
      return "Give it a name.";
    }
    if (this.name.problem) {
      return "Correct the name.";
    }
    const [wrong] = this.parameters.wrong;
    if (wrong) {
      return `Correct the parameter ${wrong}.`;
    }
    if (this.when.isWrong) {
      return "Correct the schedule.";
    }
    const [gone] = this.data.gone;
    if (gone) {
      return `The data file ${gone} is not there: bring it back, or untick it.`;
    }
    const errors = this.draft.findings.filter(({ severity }) => severity === "error");
    if (errors.length === 0 || this.force.checked) {
      return "";
    }
    return `${counted(errors)} (${where(errors[0]).toLowerCase()}): correct it, or tick “Promote it anyway”.`;
  }

  /** Whether a run can do with the parameters that are given; says so beside those that are missing. */
  requireAll(): boolean {
    return this.parameters.requireAll();
  }

  /** Say why the server has refused it, beside the field that is meant if there is one. */
  refuse(error: Error): void {
    const field = error instanceof Refused ? (error.field ?? "") : "";
    const parameter = field.startsWith("parameters.") ? field.slice("parameters.".length) : "";
    if (this.parameters.refuse(parameter, error.message) || this.when.refuse(field, error.message)) {
      return;
    }
    if (error instanceof Refused && error.findings.length) {
      this.showFindings(error.findings);
    } else {
      this.trouble.textContent = error.message;
    }
  }

  override dispose(): void {
    this.drafting.dispose();
    this.parameters.dispose();
    this.when.dispose();
    super.dispose();
  }

  private showDraft(draft: Draft): void {
    this.draft = draft;
    this.trouble.textContent = draft.warnings.join(" ");
    this.name.problem = draft.name_problem ?? "";
    this.showFlows(draft);
    this.parameters.show(draft.parameters);
    this.when.show(draft.schedules);
    this.showSettings(draft);
    this.data.show(draft.data_files);
    this.showFindings(isUnclear(draft) ? [] : draft.findings);
    this.captured.replaceChildren(...(draft.captured ? [disclosure(draft.captured)] : []));
    this.rest.hidden = isUnclear(draft);
  }

  /** The choice among the flows; it stays the same control, so that it keeps the focus. */
  private showFlows(draft: Draft): void {
    this.flow = draft.flow;
    const options = draft.flows.map(({ flow, name }) => [flow, name] as const);
    const shown = JSON.stringify(options);
    if (shown !== this.flows.dataset.shown) {
      const none = isUnclear(draft) ? [["", "Choose one"] as const] : [];
      const control = choice([...none, ...options], draft.flow);
      control.addEventListener("change", () => this.chooseFlow(control.value));
      this.flows.replaceChildren(...(options.length ? [new FieldRow("Flow", control).node] : []));
      this.flows.dataset.shown = shown;
    }
  }

  /** Another flow has its own name, parameters and files, whatever was typed for the one before. */
  private chooseFlow(flow: string): void {
    this.flow = flow;
    this.parameters.forget();
    this.data.forget();
    void this.draw();
  }

  /** The settings as they stand, unless a person has chosen already. */
  private showSettings(draft: Draft): void {
    if (this.settings.dataset.touched) {
      return;
    }
    const limit = draft.concurrency_limit;
    const stands = limit === null ? "Run beside it" : `Run up to ${limit} at a time`;
    const overlaps = draft.overlap === null ? [["", stands] as const, ...OVERLAPS] : OVERLAPS;
    this.overlap = new FieldRow("If still running", choice(overlaps, draft.overlap ?? ""));
    const pools = draft.pools.map(({ name, workers, paused }) => {
      const count = workers === 1 ? "1 worker" : `${workers || "no"} workers`;
      return [name, `${name} (${count}${paused ? ", paused" : ""})`] as const;
    });
    this.pool = new FieldRow("Pool", choice(pools, draft.pool));
    const note = draft.is_paused ? "It is paused: its schedules make no runs until it is resumed." : "";
    this.settings.replaceChildren(
      this.overlap.node,
      this.pool.node,
      ...(note ? [element("p", {}, note)] : []),
    );
    this.settings.addEventListener("input", () => {
      this.settings.dataset.touched = "yes";
    });
  }

  private showFindings(findings: Finding[]): void {
    this.found.replaceChildren(findingsList(findings, this.go));
    this.anyway.hidden = !this.draft?.captured || !findings.some(({ severity }) => severity === "error");
    if (this.anyway.hidden) {
      this.force.checked = false;
    }
  }

  private isNamed = false;
  /** The one that was chosen, empty for what `flowbook promote` takes. */
  private flow = "";
  private readonly name = new FieldRow("Name", line(""));
  private readonly flows = element("div", {});
  private readonly trouble = element("p", { class: "flowbook-problem", role: "alert" });
  private readonly rest = element("div", {});
  private readonly parameters: ParameterFields;
  private readonly data: DataFields;
  private readonly when: WhenFields;
  private readonly settings = element("div", {});
  private overlap = new FieldRow("If still running", choice(OVERLAPS, "queue"));
  private pool = new FieldRow("Pool", choice([], ""));
  private readonly found = element("div", {});
  private readonly force = element("input", { type: "checkbox" });
  private readonly anyway = element("label", { class: "flowbook-anyway" }, this.force, " Promote it anyway");
  private readonly captured = element("div", {});
  private readonly drafting: Debouncer;
}

/** Whether a person has to say which of the flows is meant. */
function isUnclear({ flow, flows }: Draft): boolean {
  return flows.length > 0 && !flows.some((each) => each.flow === flow);
}

function disclosure(captured: Captured): HTMLElement {
  const parts: [string, string[]][] = [
    ["Cells", captured.cells],
    ["Modules beside the notebook", captured.modules],
    ["Environment variables, by name only", captured.variables],
    ["Packages", captured.packages],
  ];
  const rows = parts
    .filter(([, names]) => names.length > 0)
    .flatMap(([title, names]) => [element("dt", {}, title), element("dd", {}, names.join(", "))]);
  return element(
    "details",
    {},
    element("summary", {}, capturedText(captured)),
    element(
      "p",
      {},
      `Runs use the environment of the worker; the version notes Python ${captured.python}, ` +
        `the kernel ${captured.kernel} and these packages.`,
    ),
    element("dl", {}, ...rows),
  );
}
