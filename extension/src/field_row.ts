/** A labelled control with a hint and a place for what is wrong with it, all tied together for screen readers. */

import { element } from "./dom";

export type Control = HTMLInputElement | HTMLSelectElement | HTMLTextAreaElement;

let rows = 0;

export class FieldRow {
  readonly node: HTMLElement;

  constructor(
    label: Node | string,
    readonly control: Control,
    hint = "",
    ...beside: HTMLElement[]
  ) {
    const id = `flowbook-field-${++rows}`;
    control.id = id;
    this.said.id = `${id}-problem`;
    const about = [this.said.id];
    const hints: HTMLElement[] = [];
    if (hint) {
      about.unshift(`${id}-hint`);
      hints.push(element("small", { id: `${id}-hint` }, hint));
    }
    control.setAttribute("aria-describedby", about.join(" "));
    if (control.type !== "checkbox") {
      control.classList.add("jp-mod-styled");
    }
    this.node = element(
      "div",
      { class: "flowbook-row" },
      element("label", { for: id }, label),
      element("span", { class: "flowbook-control" }, control, ...beside),
      ...hints,
      this.said,
    );
  }

  get problem(): string {
    return this.said.textContent ?? "";
  }

  /** Say what is wrong; an empty sentence takes it away. */
  set problem(sentence: string) {
    if (this.problem !== sentence) {
      this.said.textContent = sentence;
      this.control.setAttribute("aria-invalid", String(sentence !== ""));
    }
  }

  private readonly said = element("p", { class: "flowbook-problem", "aria-live": "polite" });
}

/** A line to type in. */
export function line(value = "", attributes: Record<string, string> = {}): HTMLInputElement {
  const made = element("input", { type: "text", spellcheck: "false", autocomplete: "off", ...attributes });
  made.value = value;
  return made;
}

/** A choice among [value, words]. */
export function choice(options: readonly (readonly [string, string])[], chosen: string): HTMLSelectElement {
  const made = element("select", {}, ...options.map(([value, words]) => element("option", { value }, words)));
  made.value = chosen;
  return made;
}
