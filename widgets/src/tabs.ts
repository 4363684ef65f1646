import { html } from "./elements";

/** Tabs with one panel each: the arrow keys go from tab to tab (WAI-ARIA's tabs, chosen as they get the focus). */
export class Tabs<Name extends string> {
  readonly list = html("div", { class: "fb-tabs", role: "tablist", "aria-label": "Views of the run" });
  readonly panels = html("div", { class: "fb-panels" });
  private readonly tabs = new Map<Name, HTMLButtonElement>();
  private readonly panelOf = new Map<Name, HTMLElement>();

  constructor(
    contents: Record<Name, HTMLElement>,
    public current: Name,
    private readonly chosen: (name: Name) => void,
  ) {
    const id = `fb-${Math.random().toString(36).slice(2)}`;
    for (const [name, content] of Object.entries(contents) as [Name, HTMLElement][]) {
      const own = { id: `${id}-${name}`, "aria-controls": `${id}-${name}-panel` };
      const tab = html("button", { type: "button", class: "fb-tab", role: "tab", ...own }, name);
      const panel = html(
        "div",
        { class: "fb-panel", role: "tabpanel", id: own["aria-controls"], "aria-labelledby": own.id },
        content,
      );
      tab.addEventListener("click", () => this.choose(name));
      this.tabs.set(name, tab);
      this.panelOf.set(name, panel);
    }
    this.list.append(...this.tabs.values());
    this.panels.append(...this.panelOf.values());
    this.list.addEventListener("keydown", (event) => this.key(event));
    this.mark();
  }

  choose(name: Name): void {
    this.current = name;
    this.mark();
    this.chosen(name);
  }

  private mark(): void {
    for (const [name, tab] of this.tabs) {
      tab.setAttribute("aria-selected", String(name === this.current));
      tab.tabIndex = name === this.current ? 0 : -1;
      (this.panelOf.get(name) as HTMLElement).hidden = name !== this.current;
    }
  }

  private key(event: KeyboardEvent): void {
    const names = [...this.tabs.keys()];
    const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    if (!step) return;
    const next = names[(names.indexOf(this.current) + step + names.length) % names.length] as Name;
    this.choose(next);
    this.tabs.get(next)?.focus();
    event.preventDefault();
    event.stopPropagation();
  }
}
