/** The Promote dialog: it stays open with the server's sentence until the notebook is promoted or given up. */

import { Dialog, Notification, showErrorMessage } from "@jupyterlab/apputils";
import { Widget } from "@lumino/widgets";
import type { FlowbookClient } from "./api";
import { element } from "./dom";
import type { GoTo } from "./findings";
import { PromoteForm } from "./promote_form";
import type { Promoted } from "./promoting";
import { promotedText, versionText } from "./words";

export interface PromoteActions {
  /** Show a cell of the notebook. */
  go: GoTo;
  /** Show a deployment in the panel. */
  show(name: string): void;
}

const [CANCEL, RUN_ONCE, PROMOTE] = [0, 1, 2];

/** Ask how to promote the notebook at `path`, promote it and say what came of it; false when given up. */
export async function promoteNotebook(
  client: FlowbookClient,
  path: string,
  actions: PromoteActions,
): Promise<boolean> {
  const dialog = new PromoteDialog(client, path, actions.go);
  await dialog.launch();
  const promoted = await dialog.attempt?.catch(() => null);
  if (promoted) {
    announce(promoted, actions);
  }
  return Boolean(promoted);
}

class PromoteDialog extends Dialog<void> {
  /** The request under way, or the one that succeeded; null when none was made or the last one was refused. */
  attempt: Promise<Promoted> | null = null;

  constructor(
    private readonly client: FlowbookClient,
    path: string,
    go: GoTo,
  ) {
    const parts = new Parts();
    let settle = () => {}; // the form is made before the dialog that holds it
    const goThere: GoTo = (cell, line) => {
      this.reject();
      go(cell, line);
    };
    const form = new PromoteForm(client, path, goThere, () => settle());
    super({
      title: `Promote ${path.slice(path.lastIndexOf("/") + 1)}`,
      body: form,
      buttons: [
        Dialog.cancelButton(),
        Dialog.okButton({ label: "Promote and run once", className: "flowbook-run-once" }),
        Dialog.okButton({ label: "Promote" }),
      ],
      focusNodeSelector: "input",
      renderer: parts,
    });
    settle = () => this.settle();
    this.form = form;
    this.parts = parts;
    this.addClass("flowbook-promote-dialog");
    this.settle();
    void form.draw();
  }

  override resolve(index = PROMOTE): void {
    if (index === CANCEL) {
      super.resolve(CANCEL);
    } else if (!this.attempt && !this.form.obstacle && (index !== RUN_ONCE || this.form.requireAll())) {
      void this.promote(index === RUN_ONCE);
    }
  }

  /** Whether it can be promoted is ours to say. */
  protected override _checkValidation(): void {
    this.settle();
  }

  /** Enter promotes, except where it means something to the control that has the focus. */
  protected override _evtKeydown(event: KeyboardEvent): void {
    const { target } = event;
    if (
      event.key === "Enter" &&
      target instanceof Element &&
      target.matches("summary, select, .flowbook-promote button")
    ) {
      event.stopPropagation();
      return;
    }
    super._evtKeydown(event);
  }

  private settle(): void {
    if (!this.form || this.isDisposed) {
      return;
    }
    const reason = this.attempt ? "Promoting…" : this.form.obstacle;
    this.parts.say(reason);
    this.parts.version.textContent = this.form.draft ? versionText(this.form.draft) : "";
    for (const button of this.node.querySelectorAll<HTMLButtonElement>(".jp-Dialog-footer .jp-mod-accept")) {
      button.disabled = reason !== "";
      button.setAttribute("aria-describedby", Parts.REASON);
    }
  }

  private async promote(runOnce: boolean): Promise<void> {
    this.attempt = this.client.promote({ ...this.form.request, run_once: runOnce });
    this.settle();
    try {
      await this.attempt;
      super.resolve(PROMOTE);
    } catch (error) {
      this.attempt = null;
      if (this.isDisposed) {
        await showErrorMessage("Not promoted", error as Error);
      } else {
        this.settle();
        this.form.refuse(error as Error);
        this.settle();
      }
    }
  }

  private readonly form!: PromoteForm;
  private readonly parts!: Parts;
}

/** The dialog's title with the version, and its buttons with the reason why they cannot be pressed. */
class Parts extends Dialog.Renderer {
  static readonly REASON = "flowbook-promote-reason";

  readonly version = element("span", { class: "flowbook-version", "aria-live": "polite" });

  override createHeader(title: Dialog.Header): Widget {
    const header = new Widget({ node: element("header", {}, `${title} `, this.version) });
    header.addClass("jp-Dialog-header");
    return header;
  }

  override createBody(value: Dialog.Body<void>): Widget {
    const body = value as Widget;
    body.addClass("jp-Dialog-body");
    return body;
  }

  override createFooter(buttons: readonly HTMLElement[], checkbox: HTMLElement | null): Widget {
    const footer = super.createFooter(buttons, checkbox);
    footer.node.prepend(this.reason);
    return footer;
  }

  say(reason: string): void {
    if (this.reason.textContent !== reason) {
      this.reason.textContent = reason;
    }
  }

  private readonly reason = element("p", { id: Parts.REASON, class: "flowbook-reason", role: "status" });
}

/** What came of it, as a notification that leads to the deployment. */
function announce(promoted: Promoted, actions: PromoteActions): void {
  const { name } = promoted.deployment;
  const show = {
    label: "Show deployment",
    caption: `Show ${name} in the flowbook panel`,
    callback: () => actions.show(name),
  };
  Notification.success(promotedText(promoted), { actions: [show], autoClose: 15_000 });
  if (promoted.no_run) {
    Notification.warning(`It does not run now. ${promoted.no_run}`, { autoClose: 15_000 });
  }
  if (promoted.worker_command !== null) {
    Notification.warning(`Runs need a worker. In a terminal: ${promoted.worker_command}`, {
      autoClose: 15_000,
    });
  }
}
