/** The parameters of a notebook as typed fields. */

import { Debouncer } from "@lumino/polling";
import { element } from "./dom";
import { type Control, choice, FieldRow, line } from "./field_row";
import type { ParameterField, Values } from "./promoting";

/** Milliseconds without a key before what was typed is checked. */
export const PAUSE = 120;

/** What a field is given besides a value: what a schedule puts in when a run is due. */
const MOMENTS: Partial<Record<ParameterField["kind"], string[]>> = {
  date: ["{{ scheduled_time.date }}", "{{ data_interval_start.date }}"],
  datetime: ["{{ scheduled_time }}", "{{ data_interval_start }}"],
};

const EXAMPLES: Partial<Record<ParameterField["kind"], string>> = {
  date: "2026-11-20, or {{ scheduled_time.date }} for the day of the run",
  datetime: "2026-11-20T07:00+01:00, or {{ scheduled_time }} for the time of the run",
  time: "07:00",
  list: "One item to a line",
  json: "As JSON",
};

interface Typed {
  field: ParameterField;
  row: FieldRow;
  first: string;
}

export class ParameterFields {
  readonly node = element("fieldset", { class: "flowbook-parameters" });

  /** `check` says why values do not fit, by name; `changed` is called when what is wrong has changed. */
  constructor(
    private readonly check: (values: Values) => Promise<Record<string, string>>,
    private readonly changed: () => void,
  ) {
    this.checking = new Debouncer(() => this.checkNow(), PAUSE);
    this.node.hidden = true;
    this.node.addEventListener("input", () => {
      this.isTouched = true;
      void this.checking.invoke();
    });
  }

  /** Show these fields, unless a person has typed already. */
  show(fields: ParameterField[]): void {
    if (this.isTouched) {
      return;
    }
    const cell = fields[0]?.cell;
    const legend = element("legend", {}, "Parameters");
    if (cell) {
      legend.append(element("small", {}, ` (from cell ${cell})`));
    }
    this.typed = fields.map((field, index) => typed(field, index));
    this.node.replaceChildren(legend, ...this.typed.map(({ row }) => row.node));
    this.node.hidden = fields.length === 0;
  }

  /** Let the next fields be shown, whatever was typed. */
  forget(): void {
    this.isTouched = false;
  }

  /** The values that are other than they stood. */
  get values(): Values {
    const changed = this.typed.filter(({ row, first }) => raw(row.control) !== first);
    return Object.fromEntries(changed.map(({ field, row }) => [field.name, value(field, row.control)]));
  }

  /** Names of the fields that do not fit. */
  get wrong(): string[] {
    return this.typed.filter(({ row }) => row.problem).map(({ field }) => field.name);
  }

  /** Say what is wrong with a field; false if there is none of this name. */
  refuse(name: string, sentence: string): boolean {
    const found = this.typed.find(({ field }) => field.name === name);
    if (found) {
      found.row.problem = sentence;
      found.row.control.focus();
    }
    return found !== undefined;
  }

  /** Say of each field that a run cannot do without that it must be given; false if there is one. */
  requireAll(): boolean {
    const missing = this.typed.filter(
      ({ field, row, first }) => field.required && raw(row.control) === first,
    );
    for (const { row } of missing) {
      row.problem = "A run needs this parameter: give it a value.";
    }
    missing[0]?.row.control.focus();
    this.changed();
    return missing.length === 0;
  }

  dispose(): void {
    this.checking.dispose();
  }

  private async checkNow(): Promise<void> {
    const values = this.values;
    const asked = JSON.stringify(values);
    const problems = Object.keys(values).length ? await this.check(values).catch(() => ({})) : {};
    if (asked === JSON.stringify(this.values)) {
      for (const { field, row } of this.typed) {
        row.problem = (problems as Record<string, string>)[field.name] ?? "";
      }
      this.changed();
    }
  }

  private isTouched = false;
  private typed: Typed[] = [];
  private readonly checking: Debouncer;
}

function typed(field: ParameterField, index: number): Typed {
  const control = controlFor(field);
  const beside: HTMLElement[] = [];
  const moments = MOMENTS[field.kind];
  if (moments) {
    const id = `flowbook-moments-${index}`;
    control.setAttribute("list", id);
    beside.push(element("datalist", { id }, ...moments.map((value) => element("option", { value }))));
  }
  const label = element(
    "span",
    {},
    `${field.name} `,
    element("small", {}, field.kind === "choice" ? "" : field.type),
  );
  const row = new FieldRow(label, control, hint(field), ...beside);
  return { field, row, first: raw(control) };
}

function hint(field: ParameterField): string {
  const parts = [EXAMPLES[field.kind] ?? ""];
  parts.push(field.is_kept ? "as deployed before" : field.required ? "no default" : "");
  parts.push(field.optional ? "empty: None" : "");
  return parts.filter(Boolean).join(" · ");
}

function controlFor(field: ParameterField): Control {
  const isYesOrNo = field.kind === "bool";
  if (isYesOrNo && !field.optional && field.text) {
    const box = element("input", { type: "checkbox" });
    box.checked = field.text === "true";
    return box;
  }
  if (isYesOrNo || field.kind === "choice") {
    const options = (isYesOrNo ? [true, false] : field.choices).map((each) => JSON.stringify(each));
    const none: string[] = field.optional || !field.text ? [""] : [];
    const words = (option: string) => (option ? String(JSON.parse(option)) : field.optional ? "None" : "…");
    const chosen = field.text ? JSON.stringify(JSON.parse(field.text)) : "";
    return choice(
      [...none, ...options].map((option) => [option, words(option)] as const),
      chosen,
    );
  }
  const isLong = field.kind === "list" || field.kind === "json" || field.text.includes("\n");
  const control = isLong ? element("textarea", { rows: "2", spellcheck: "false" }) : line();
  control.value = field.text;
  control.placeholder = field.hint;
  if (field.kind === "int" || field.kind === "float") {
    control.inputMode = field.kind === "int" ? "numeric" : "decimal";
  }
  return control;
}

/** What stands in a control, as one text. */
function raw(control: Control): string {
  return control instanceof HTMLInputElement && control.type === "checkbox"
    ? String(control.checked)
    : control.value;
}

function value(field: ParameterField, control: Control): unknown {
  const text = raw(control);
  if (text === "" && field.optional) {
    return null;
  }
  if (field.kind === "bool" || field.kind === "choice") {
    return text === "" ? text : JSON.parse(text);
  }
  return field.kind === "list" && !text.includes("{{") ? text.split("\n").filter(Boolean) : text;
}
