/**
 * Tells kernels how the cells of their notebooks stand.
 *
 * It goes with each request to execute a cell, so it is that of the page where somebody executes it, at that moment.
 */

import type { INotebookTracker, NotebookPanel } from "@jupyterlab/notebook";
import type { Kernel } from "@jupyterlab/services";

export function tellCellOrder(notebooks: INotebookTracker): void {
  const telling = new WeakSet<Kernel.IKernelConnection>();
  const follow = ({ context, sessionContext }: NotebookPanel) => {
    const kernel = sessionContext.session?.kernel;
    if (!kernel || telling.has(kernel)) return;
    telling.add(kernel);
    const execute = kernel.requestExecute.bind(kernel);
    kernel.requestExecute = (content, disposeOnDone, metadata) => {
      const { cellId } = metadata ?? {};
      const cells = cellId ? [...context.model.cells].filter(({ type }) => type === "code") : [];
      const isHere = cells.some(({ id }) => id === cellId);
      const told = cells.map(({ id, sharedModel }) => [id, checksum(sharedModel.source)]);
      return execute(content, disposeOnDone, isHere ? { ...metadata, flowbook: told } : metadata);
    };
  };
  notebooks.widgetAdded.connect((_, panel) => {
    panel.sessionContext.kernelChanged.connect(() => follow(panel));
    follow(panel);
  });
}

/** The Adler-32 checksum of a text in UTF-8 (RFC 1950): by it the kernel knows a cell that it has executed before. */
export function checksum(text: string): number {
  let [low, high] = [1, 0];
  for (const byte of new TextEncoder().encode(text)) {
    low = (low + byte) % 65521;
    high = (high + low) % 65521;
  }
  return high * 65536 + low;
}
