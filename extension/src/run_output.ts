/** What a run that failed leaves behind in a notebook, with buttons that do something about it. */

import type { ISessionContext } from "@jupyterlab/apputils";
import type { Cell } from "@jupyterlab/cells";
import { type INotebookTracker, NotebookActions, type NotebookPanel } from "@jupyterlab/notebook";
import type { IRenderMime, IRenderMimeRegistry } from "@jupyterlab/rendermime";
import type { Kernel } from "@jupyterlab/services";
import { Panel } from "@lumino/widgets";
import { element } from "./dom";
import { type Action, canRun, KEYS, type Left, readLeft } from "./left_behind";

const MIME_TYPE = "application/vnd.flowbook.run+json";
const HTML = "text/html";

/** Draws the HTML of the same output, and puts buttons where that says what to execute. */
class RunOutput extends Panel implements IRenderMime.IRenderer {
  private left: Left | undefined;
  private readonly bar = element("div", { class: "flowbook-actions" });
  private readonly said = element("span", { role: "status" });
  private buttons = new Map<Action, HTMLButtonElement>();
  private session: ISessionContext | undefined;

  constructor(
    private readonly rendermime: IRenderMimeRegistry,
    private readonly notebooks: INotebookTracker,
  ) {
    super();
    this.addClass("flowbook-run-output");
    this.node.dataset.lmSuppressShortcuts = "true"; // or `d` twice would delete the cell
    this.node.addEventListener("keydown", (event) => this.key(event));
  }

  async renderModel(model: IRenderMime.IMimeModel): Promise<void> {
    const page = this.rendermime.createRenderer(HTML);
    for (const old of [...this.widgets]) old.dispose();
    this.addWidget(page);
    await page.renderModel(model);
    this.left = readLeft(model.data[MIME_TYPE]);
    if (!this.left) return; // nothing that this version knows: the HTML says it all
    this.buttons = new Map(this.left.actions.map((action) => [action, this.button(action)]));
    this.bar.replaceChildren(...this.buttons.values(), this.said);
    const ways = page.node.querySelector(".flowbook-ways");
    if (ways) ways.replaceWith(this.bar);
    else page.node.append(this.bar);
    this.enable();
  }

  protected override onAfterAttach(): void {
    this.session = this.notebook?.sessionContext;
    this.session?.kernelChanged.connect(this.enable, this);
    this.enable();
  }

  protected override onBeforeDetach(): void {
    this.session?.kernelChanged.disconnect(this.enable, this);
  }

  private get notebook(): NotebookPanel | undefined {
    return this.notebooks.find((panel) => panel.node.contains(this.node));
  }

  private button(action: Action): HTMLButtonElement {
    const made = element("button", { type: "button", class: "jp-Button" }, action.label);
    made.addEventListener("click", () => void this.act(action));
    return made;
  }

  /** Whatever cannot be done is disabled, and says why. */
  private enable(): void {
    const here = this.session?.session?.kernel?.id === this.left?.kernel;
    const why = here ? "" : "The kernel that ran this has ended: run the cells again.";
    for (const [action, button] of this.buttons) {
      button.disabled = !!(action.problem || why);
      button.title =
        why || action.problem || `${action.code} (${action.key === "R" ? "Shift+R" : action.key})`;
    }
    const [first] = this.left?.actions.filter((action) => action.problem) ?? [];
    this.say(why || (first ? `${first.label}: ${first.problem}` : ""));
  }

  private say(text: string): void {
    this.said.textContent = text;
  }

  private async act(action: Action): Promise<void> {
    const notebook = this.notebook;
    const kernel = notebook?.sessionContext.session?.kernel;
    const cell = notebook?.content.widgets.find(({ node }) => node.contains(this.node));
    if (!this.left || !notebook || !kernel || !cell || this.buttons.get(action)?.disabled) return;
    this.say(kernel.status === "busy" ? "Waits for the kernel…" : "");
    if (await isLast(kernel, this.left.run)) {
      this.say("");
      await runBelow(notebook, cell, action.code);
      return;
    }
    for (const button of this.buttons.values()) button.disabled = true;
    this.say("Another run has begun since, or the kernel was restarted: this one is out of date.");
  }

  private key(event: KeyboardEvent): void {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const fold = KEYS[event.key];
    const action = this.left?.actions.find(({ key }) => key === event.key);
    if (action) void this.act(action);
    else if (fold) this.toggle(fold);
    else return;
    event.preventDefault();
    event.stopPropagation();
  }

  private toggle(title: string): void {
    const folds = [...this.node.querySelectorAll<HTMLDetailsElement>(".flowbook-failure details")];
    const found = folds.find((fold) => fold.textContent?.startsWith(title));
    if (!found) return;
    found.open = !found.open;
    found.querySelector<HTMLElement>("summary")?.focus();
  }
}

/** Whether the kernel's last flow run is this one. It answers when it is idle. */
async function isLast(kernel: Kernel.IKernelConnection, run: string): Promise<boolean> {
  const asks = `__import__("flowbook_magics.after_failure", fromlist=["_"]).is_last(get_ipython(), "${run}")`;
  const request = { code: "", silent: true, store_history: false, user_expressions: { is_last: asks } };
  const { content } = await kernel.requestExecute(request).done;
  if (content.status !== "ok") return false;
  const answer = content.user_expressions.is_last as { data?: Record<string, string> } | undefined;
  return answer?.data?.["text/plain"] === "True";
}

/** Execute code in the cell below; a new one, unless that is the code of the one that is there. */
async function runBelow(panel: NotebookPanel, above: Cell, code: string): Promise<void> {
  const notebook = panel.content;
  const at = notebook.widgets.indexOf(above);
  const below = notebook.widgets[at + 1];
  if (canRun(code) && below?.model.sharedModel.getSource().trim() === code) {
    notebook.activeCellIndex = at + 1;
  } else {
    notebook.activeCellIndex = at;
    NotebookActions.insertBelow(notebook);
    notebook.activeCell?.model.sharedModel.setSource(code);
  }
  notebook.mode = "command";
  await NotebookActions.run(notebook, panel.sessionContext);
}

/** Have outputs of this kind drawn here. */
export function drawRunOutputs(rendermime: IRenderMimeRegistry, notebooks: INotebookTracker): void {
  const createRenderer = () => new RunOutput(rendermime, notebooks);
  rendermime.addFactory({ safe: true, mimeTypes: [MIME_TYPE], defaultRank: 40, createRenderer }, 40);
}
