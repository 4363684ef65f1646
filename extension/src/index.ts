/**
 * flowbook in JupyterLab: a Promote button on notebooks, the runs in the left side bar, buttons below a failed run, and
 * the order of cells for the kernel.
 */

import {
  ILabShell,
  ILayoutRestorer,
  type JupyterFrontEnd,
  type JupyterFrontEndPlugin,
} from "@jupyterlab/application";
import { ICommandPalette } from "@jupyterlab/apputils";
import { INotebookTracker } from "@jupyterlab/notebook";
import { IRenderMimeRegistry } from "@jupyterlab/rendermime";
import { FlowbookClient } from "./api";
import { tellCellOrder } from "./cell_order";
import { promoteNotebook } from "./dialog";
import { showCell } from "./go_to_cell";
import { flowIcon } from "./icons";
import { RunsPanel } from "./panel";
import { drawRunOutputs } from "./run_output";

const PROMOTE = "flowbook:promote";
const SHOW_RUNS = "flowbook:show-runs";

/** The button itself is in schema/promote.json, so that a person can move or hide it in the settings. */
const promote: JupyterFrontEndPlugin<void> = {
  id: "flowbook:promote",
  description: "Promotes the current notebook to a deployment.",
  autoStart: true,
  requires: [INotebookTracker],
  optional: [ICommandPalette],
  activate: (app: JupyterFrontEnd, notebooks: INotebookTracker, palette: ICommandPalette | null) => {
    const client = new FlowbookClient(app.serviceManager.serverSettings);
    app.commands.addCommand(PROMOTE, {
      label: "Promote Notebook to a Deployment",
      caption: "Promote this notebook: run it on a schedule or on demand",
      icon: flowIcon,
      isEnabled: () => notebooks.currentWidget !== null,
      execute: async () => {
        const panel = notebooks.currentWidget;
        if (!panel) {
          return;
        }
        const { context } = panel;
        await context.save();
        const path = app.serviceManager.contents.localPath(context.path);
        const promoted = await promoteNotebook(client, path, {
          go: (cell, line) => void showCell(panel.content, cell, line),
          show: (deployment) => void app.commands.execute(SHOW_RUNS, { deployment }),
        });
        if (promoted && app.commands.hasCommand(SHOW_RUNS)) {
          await app.commands.execute(SHOW_RUNS, { refreshOnly: true });
        }
      },
    });
    notebooks.currentChanged.connect(() => app.commands.notifyCommandChanged(PROMOTE));
    palette?.addItem({ command: PROMOTE, category: "flowbook" });
  },
};

const runs: JupyterFrontEndPlugin<void> = {
  id: "flowbook:runs",
  description: "Lists the runs of flows in the left side bar.",
  autoStart: true,
  optional: [ICommandPalette, ILayoutRestorer, ILabShell],
  activate: (
    app: JupyterFrontEnd,
    palette: ICommandPalette | null,
    restorer: ILayoutRestorer | null,
    shell: ILabShell | null,
  ) => {
    const panel = new RunsPanel(new FlowbookClient(app.serviceManager.serverSettings), {
      promote: () => void app.commands.execute(PROMOTE),
      open: (path) => void app.commands.execute("docmanager:open", { path }),
    });
    app.shell.add(panel, "left", { rank: 650, type: "flowbook" });
    restorer?.add(panel, panel.id);
    app.commands.addCommand(SHOW_RUNS, {
      label: "Show Runs",
      caption: "Show the runs of flows",
      execute: (args) => {
        if (!args.refreshOnly) {
          (shell ?? app.shell).activateById(panel.id);
        }
        if (typeof args.deployment === "string") {
          panel.showDeployment(args.deployment);
        } else {
          panel.refresh();
        }
      },
    });
    palette?.addItem({ command: SHOW_RUNS, category: "flowbook" });
  },
};

const outputs: JupyterFrontEndPlugin<void> = {
  id: "flowbook:outputs",
  description: "Offers to rerun and to debug below a run that failed.",
  autoStart: true,
  requires: [IRenderMimeRegistry, INotebookTracker],
  activate: (_app: JupyterFrontEnd, rendermime: IRenderMimeRegistry, notebooks: INotebookTracker) =>
    drawRunOutputs(rendermime, notebooks),
};

const cells: JupyterFrontEndPlugin<void> = {
  id: "flowbook:cells",
  description: "Tells kernels how the cells of their notebooks stand.",
  autoStart: true,
  requires: [INotebookTracker],
  activate: (_app: JupyterFrontEnd, notebooks: INotebookTracker) => tellCellOrder(notebooks),
};

export default [promote, runs, outputs, cells];
