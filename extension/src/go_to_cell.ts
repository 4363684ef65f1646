/** Goes to a place in a notebook. */

import type { Notebook } from "@jupyterlab/notebook";

/** Select the cell of this index, and put the cursor on a line of it (from 1) if one is meant. */
export async function showCell(notebook: Notebook, index: number, line: number | null): Promise<void> {
  notebook.deselectAll();
  notebook.activeCellIndex = index;
  const cell = notebook.activeCell;
  if (!cell) {
    return;
  }
  await notebook.scrollToCell(cell);
  if (line === null || !cell.editor) {
    notebook.activate();
    return;
  }
  notebook.mode = "edit";
  cell.editor.focus();
  cell.editor.setCursorPosition({ line: line - 1, column: 0 });
}
