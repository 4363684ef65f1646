/**
 * Tells kernels how the cells of their notebooks stand.
 *
 * It goes with each request to execute a cell, so it is that of the page where somebody executes it, at that moment.
 */

import type { ICellModel, ICodeCellModel } from "@jupyterlab/cells";
import type { INotebookTracker, NotebookPanel } from "@jupyterlab/notebook";
import type { Kernel } from "@jupyterlab/services";

/** What a kernel is told of a code cell: its id, its prompt if it has one, and how long its source is. */
type Told = [string, number | null, number];

export function tellCellOrder(notebooks: INotebookTracker): void {
  const telling = new WeakSet<Kernel.IKernelConnection>();
  const follow = ({ context, sessionContext }: NotebookPanel) => {
    const kernel = sessionContext.session?.kernel;
    if (!kernel || telling.has(kernel)) return;
    telling.add(kernel);
    const execute = kernel.requestExecute.bind(kernel);
    kernel.requestExecute = (content, disposeOnDone, metadata) => {
      const { cellId } = metadata ?? {};
      const cells = cellId ? [...context.model.cells].filter(isCode) : [];
      const isHere = cells.some(({ id }) => id === cellId);
      return execute(content, disposeOnDone, isHere ? { ...metadata, flowbook: cells.map(told) } : metadata);
    };
  };
  notebooks.widgetAdded.connect((_, panel) => {
    panel.sessionContext.kernelChanged.connect(() => follow(panel));
    follow(panel);
  });
}

function isCode(cell: ICellModel): cell is ICodeCellModel {
  return cell.type === "code";
}

function told({ id, executionCount, sharedModel }: ICodeCellModel): Told {
  return [id, executionCount, sharedModel.source.length];
}
