/** Tells a kernel in which flowbook is loaded, before it executes a cell, how the cells of its notebook stand. */

import {
  type INotebookTracker,
  type Notebook,
  NotebookActions,
  type NotebookPanel,
} from "@jupyterlab/notebook";
import { CommsOverSubshells, type Kernel, KernelMessage } from "@jupyterlab/services";

/** The name of the comm that flowbook opens from a kernel. */
const TARGET = "flowbook.cells";

/** A kernel that wants to know. */
interface Listener {
  comm: Kernel.IComm;
  /** What it was told last. */
  told: string;
}

export function tellCellOrder(notebooks: INotebookTracker): void {
  const listeners = new WeakMap<Kernel.IKernelConnection, Listener>();

  const tell = (kernel: Kernel.IKernelConnection, notebook: Notebook) => {
    const listener = listeners.get(kernel);
    const cells = notebook.widgets.filter(({ model }) => model.type === "code").map(({ model }) => model.id);
    const told = cells.join();
    if (!listener || listener.comm.isDisposed || listener.told === told) return;
    listener.told = told;
    send(kernel, listener.comm.commId, cells);
  };

  const follow = (panel: NotebookPanel) => {
    const kernel = panel.sessionContext.session?.kernel;
    if (!kernel) return;
    const listen = (comm: Kernel.IComm) => {
      // JupyterLab is about to have the kernel make a thread for it, which `send` does not need.
      kernel.info
        .then(() => {
          comm.commsOverSubshells = CommsOverSubshells.Disabled;
        })
        .catch(isGone);
      listeners.set(kernel, { comm, told: "" });
      tell(kernel, panel.content);
    };
    kernel.registerCommTarget(TARGET, listen);
    openedBefore(kernel)
      .then((id) => {
        if (id && !kernel.hasComm(id)) listen(kernel.createComm(TARGET, id));
      })
      .catch(isGone);
  };

  notebooks.widgetAdded.connect((_, panel) => {
    panel.sessionContext.kernelChanged.connect(() => follow(panel));
    follow(panel);
  });
  NotebookActions.executionScheduled.connect((_, { notebook }) => {
    const panel = notebooks.find(({ content }) => content === notebook);
    const kernel = panel?.sessionContext.session?.kernel;
    if (kernel) tell(kernel, notebook);
  });
}

/** A kernel that ends before it answers has nothing to be told. */
function isGone(): void {}

/** The comm that a kernel has opened before this page was there; undefined if it has none. */
async function openedBefore(kernel: Kernel.IKernelConnection): Promise<string | undefined> {
  const { content } = await kernel.requestCommInfo({ target_name: TARGET });
  return content.status === "ok" ? Object.keys(content.comms)[0] : undefined;
}

/** On the way of the cells, so that it arrives before the cell that is executed next: a comm may take another one. */
function send(kernel: Kernel.IKernelConnection, comm: string, cells: string[]): void {
  kernel.sendShellMessage(
    KernelMessage.createMessage<KernelMessage.ICommMsgMsg<"shell">>({
      msgType: "comm_msg",
      channel: "shell",
      session: kernel.clientId,
      username: kernel.username,
      content: { comm_id: comm, data: { cells } },
    }),
    false,
    true,
  );
}
