import { html } from "./elements";
import type { NodeFace } from "./types";

/** What a person looks for: a state, and a part of a name. */
export interface Sought {
  look?: string;
  text?: string;
}

/** Whether a task is among those looked for; everything is when nothing is looked for. */
export function isSought(face: NodeFace | undefined, { look, text }: Sought): boolean {
  if (!look && !text) return true;
  if (!face) return false;
  if (look && face.look !== look && !face.looks?.includes(look)) return false;
  return !text || folded(face.name).includes(folded(text));
}

function folded(text: string): string {
  return text.trim().toLocaleLowerCase();
}

/** The field that finds tasks: what it does not find is dimmed, and Enter goes on to the next that it finds. */
export class FindField {
  readonly element = html("span", { class: "fb-find" });
  private readonly input = html("input", {
    type: "search",
    placeholder: "Find",
    "aria-label": "Find a task by its name",
    "aria-keyshortcuts": "/",
    autocomplete: "off",
    spellcheck: "false",
  });
  private readonly found = html("span", { class: "fb-found", role: "status" });

  constructor(
    private readonly seek: (text: string) => number,
    private readonly next: (back: boolean) => string,
    private readonly leave: () => void,
  ) {
    this.element.append(this.input, this.found);
    this.input.addEventListener("input", () => this.changed());
    this.input.addEventListener("keydown", (event) => this.key(event));
  }

  focus(): void {
    this.input.focus();
    this.input.select();
  }

  private changed(): void {
    const n = this.seek(this.input.value);
    this.found.textContent = this.input.value.trim() ? (n ? `${n} found` : "none found") : "";
  }

  private key(event: KeyboardEvent): void {
    if (event.key === "Enter") {
      this.found.textContent = this.next(event.shiftKey);
    } else if (event.key === "Escape") {
      this.input.value = "";
      this.changed();
      this.leave();
    } else return;
    event.preventDefault();
    event.stopPropagation();
  }
}
