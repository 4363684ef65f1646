/** The Promote dialog: it stays open with the server's sentence until the notebook is promoted or given up. */

import { Dialog, showDialog, showErrorMessage } from "@jupyterlab/apputils";
import { Widget } from "@lumino/widgets";
import { type FlowbookClient, type Promoted, type PromoteRequest, Refused } from "./api";
import { element } from "./dom";
import { moment, stem } from "./words";

/** Ask how to promote the notebook at `path`, promote it and show what came of it; false when given up. */
export async function promoteNotebook(client: FlowbookClient, path: string): Promise<boolean> {
  const form = new PromoteForm(path);
  const dialog = new PromoteDialog(form, client);
  await dialog.launch();
  const promoted = await dialog.attempt?.catch(() => null);
  if (!promoted) {
    return false;
  }
  const { schedule, timezone } = form.request;
  await showDialog({
    title: "Promoted",
    body: new Widget({ node: outcome(promoted, (schedule && timezone) || undefined) }),
    buttons: [Dialog.okButton({ label: "Close" })],
  });
  return true;
}

class PromoteForm extends Widget {
  constructor(private readonly path: string) {
    super();
    const zone = Intl.DateTimeFormat().resolvedOptions().timeZone;
    this.addClass("flowbook-promote");
    this.node.append(
      element("p", {}, "Makes an immutable copy of the saved notebook that a worker runs."),
      field("Name", this.name, stem(path)),
      field(
        "Schedule",
        this.schedule,
        "",
        "Cron: minute, hour, day, month, weekday. Empty: on demand, or as it was deployed before.",
      ),
      field("Time zone", this.timezone, zone),
      zones("flowbook-zones"),
      this.problem,
      this.anyway,
    );
    this.anyway.append(this.force, " Promote it anyway");
    this.anyway.hidden = true;
    this.schedule.placeholder = "0 7 * * 1-5";
    this.timezone.setAttribute("list", "flowbook-zones");
    this.name.required = true;
  }

  get request(): PromoteRequest {
    const [name, schedule, timezone] = [this.name, this.schedule, this.timezone].map((i) => i.value.trim());
    return { path: this.path, name, schedule, timezone, force: this.force.checked };
  }

  /** Let the person promote a notebook whose runs would fail. */
  offerForce(): void {
    this.anyway.hidden = false;
  }

  /** Show a sentence below the fields; an empty one takes it away. */
  tell(sentence: string, kind: "problem" | "note" = "problem"): void {
    this.problem.textContent = sentence;
    this.problem.dataset.kind = kind;
  }

  private readonly name = element("input", { type: "text", class: "jp-mod-styled", spellcheck: "false" });
  private readonly schedule = element("input", { type: "text", class: "jp-mod-styled", spellcheck: "false" });
  private readonly timezone = element("input", { type: "text", class: "jp-mod-styled", spellcheck: "false" });
  private readonly force = element("input", { type: "checkbox" });
  private readonly anyway = element("label", { class: "flowbook-anyway" });
  private readonly problem = element("p", { class: "flowbook-problem", role: "alert" });
}

class PromoteDialog extends Dialog<void> {
  /** The request under way, or the one that succeeded; null when none was made or the last one was refused. */
  attempt: Promise<Promoted> | null = null;

  constructor(
    private readonly form: PromoteForm,
    private readonly client: FlowbookClient,
  ) {
    super({
      title: `Promote ${form.request.path}`,
      body: form,
      buttons: [Dialog.cancelButton(), Dialog.okButton({ label: "Promote" })],
      focusNodeSelector: "input",
    });
  }

  override resolve(index = 1): void {
    if (index === 0) {
      super.resolve(0);
    } else if (!this.attempt && this.form.request.name) {
      void this.promote();
    }
  }

  private async promote(): Promise<void> {
    this.form.tell("Promoting…", "note");
    this.attempt = this.client.promote(this.form.request);
    try {
      await this.attempt;
      super.resolve(1);
    } catch (error) {
      this.attempt = null;
      if (this.isDisposed) {
        await showErrorMessage("Not promoted", error as Error);
      } else {
        this.form.tell((error as Error).message);
        if (error instanceof Refused && error.findings.length) {
          this.form.offerForce();
        }
      }
    }
  }
}

function field(label: string, input: HTMLInputElement, value: string, hint = ""): HTMLElement {
  input.value = value;
  input.setAttribute("aria-label", label);
  const row = element("label", {}, element("span", {}, label), input);
  if (hint) {
    const id = `flowbook-hint-${label}`;
    input.setAttribute("aria-describedby", id);
    row.append(element("small", { id }, hint));
  }
  return row;
}

function zones(id: string): HTMLElement {
  const names = Intl.supportedValuesOf("timeZone");
  return element("datalist", { id }, ...names.map((value) => element("option", { value })));
}

function outcome(promoted: Promoted, zone?: string): HTMLElement {
  const { deployment, next_fires, warnings, worker_command } = promoted;
  const fires = next_fires.slice(0, 5).map((time) => element("li", {}, moment(new Date(time), zone)));
  return element(
    "div",
    { class: "flowbook-promote" },
    element("p", {}, element("strong", {}, deployment.name), ` is deployed (version ${deployment.version}).`),
    ...(fires.length
      ? [element("p", {}, "It runs next:"), element("ul", {}, ...fires)]
      : [element("p", {}, "It has no schedule: it runs on demand.")]),
    ...warnings.map((warning) => element("p", { class: "flowbook-problem" }, `Warning: ${warning}`)),
    worker_command === null
      ? element("p", {}, "It is executed while this Jupyter server, or another worker, is running.")
      : element("p", {}, "Runs need a worker. In a terminal: ", element("code", {}, worker_command)),
  );
}
