/** The data files of a notebook: which of them its runs cannot do without. */

import { element } from "./dom";
import { FieldRow } from "./field_row";
import type { DataFile } from "./promoting";

interface Declarable {
  file: DataFile;
  box: HTMLInputElement;
  row: FieldRow;
}

export class DataFields {
  readonly node = element("fieldset", { class: "flowbook-data" });

  /** `changed` is called when what is wrong may have changed. */
  constructor(changed: () => void) {
    this.node.hidden = true;
    this.node.addEventListener("input", () => {
      this.isTouched = true;
      this.judge();
      changed();
    });
  }

  /** Show these files, unless a person has ticked some already. */
  show(files: DataFile[]): void {
    if (this.isTouched) {
      return;
    }
    const legend = element(
      "legend",
      {},
      "Data files",
      element("small", {}, " (no run begins without those that are ticked)"),
    );
    this.files = files.map(declarable);
    this.judge();
    this.node.replaceChildren(legend, ...this.files.map(({ row }) => row.node));
    this.node.hidden = files.length === 0;
  }

  /** Let the next files be shown, whatever was ticked. */
  forget(): void {
    this.isTouched = false;
  }

  /** The files that are ticked; null for those that were declared before. */
  get declared(): string[] | null {
    return this.isTouched ? this.files.filter(({ box }) => box.checked).map(({ file }) => file.path) : null;
  }

  /** The files that are ticked, and are not there. */
  get gone(): string[] {
    return this.files.filter(({ file, box }) => box.checked && !file.is_there).map(({ file }) => file.path);
  }

  private judge(): void {
    for (const { file, box, row } of this.files) {
      const isWrong = box.checked && !file.is_there;
      row.problem = isWrong
        ? "It is not there, seen from the notebook's folder: bring it back, or untick it."
        : "";
    }
  }

  private isTouched = false;
  private files: Declarable[] = [];
}

function declarable(file: DataFile): Declarable {
  const box = element("input", { type: "checkbox" });
  box.checked = file.declared;
  box.disabled = !file.is_there && !file.declared;
  const parts = [
    file.read_in && `read in ${file.read_in}`,
    file.declared ? "as deployed before" : "",
    box.disabled ? "not there" : "",
  ];
  return { file, box, row: new FieldRow(file.path, box, parts.filter(Boolean).join(" · ")) };
}
