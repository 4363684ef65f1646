import { clockText, durationText, elapsed } from "./duration";
import { html, icon } from "./elements";
import { isSought, type Sought } from "./find";
import type { Pane } from "./panes";
import type { NodeFace, Snapshot } from "./types";

type Cell = string | number | undefined;
interface Column {
  title: string;
  /** By what rows are put in order. */
  order(face: NodeFace, now: number): Cell;
  /** What is shown. */
  text(face: NodeFace, now: number, begin: number): string;
}

/** Trouble first, then what is under way. */
const LOOKS =
  "failed crashed retrying running paused cancelled not-run waiting scheduled reused succeeded".split(" ");
const COLUMNS: readonly Column[] = [
  { title: "State", order: (face) => LOOKS.indexOf(face.look), text: (face) => face.word },
  { title: "Task", order: (face) => face.name.toLocaleLowerCase(), text: (face) => face.name },
  {
    title: "Started after",
    order: (face) => face.started,
    text: (face, _, begin) => (face.started === undefined ? "" : clockText(face.started - begin)),
  },
  {
    title: "Took",
    order: (face, now) => elapsed(face, now),
    text: (face, now) => {
      const took = elapsed(face, now);
      return took === undefined ? "" : durationText(took);
    },
  },
  {
    title: "Attempts",
    order: (face) => face.attempts,
    text: (face) => (face.attempts ? String(face.attempts) : ""),
  },
  { title: "Why", order: (face) => face.message, text: (face) => face.message ?? "" },
];

/** The tasks as a table that is put in order by a click on a column's head. */
export class TablePane implements Pane {
  readonly element = html("div", { class: "fb-scroll" });
  private readonly body = html("tbody");
  private readonly heads: HTMLTableCellElement[];
  private by = -1;
  private down = false;
  private known = "";
  private again: () => void = () => {};

  constructor(private readonly select: (key: string) => void) {
    this.heads = COLUMNS.map(({ title }, i) => {
      const button = html("button", { type: "button", class: "fb-sort" }, title);
      button.addEventListener("click", () => this.sort(i));
      return html("th", { scope: "col" }, button);
    });
    const head = html("thead", {}, html("tr", {}, ...this.heads));
    this.element.append(html("table", { class: "fb-table" }, head, this.body));
  }

  update(snapshot: Snapshot, now: number, sought: Sought): void {
    this.again = () => this.update(snapshot, now, sought);
    const { header, nodes } = snapshot;
    const begin = header.started ?? now;
    const column = COLUMNS[this.by];
    const rows = Object.entries(nodes);
    if (column) {
      rows.sort(([, a], [, b]) => compare(column.order(a, now), column.order(b, now), this.down));
    }
    const said = rows.map(([key, face]) => ({
      key,
      face,
      dim: !isSought(face, sought),
      texts: COLUMNS.map(({ text }) => text(face, now, begin)),
    }));
    const known = JSON.stringify(said.map(({ key, dim, texts }) => [key, dim, texts]));
    if (known === this.known) return; // a row that stays keeps the focus
    this.known = known;
    const focused = (document.activeElement as HTMLElement | null)?.dataset.row;
    this.body.replaceChildren(...said.map((row) => this.row(row.key, row.face, row.texts, row.dim)));
    if (focused) this.body.querySelector<HTMLElement>(`[data-row="${CSS.escape(focused)}"]`)?.focus();
  }

  private row(key: string, face: NodeFace, texts: string[], dim: boolean): HTMLTableRowElement {
    const [state = "", name = "", ...rest] = texts;
    const link = html("button", { type: "button", class: "fb-link", "data-row": key }, html("bdi", {}, name));
    const row = html(
      "tr",
      { class: dim ? "fb-dim" : "" },
      html("td", { class: `fb-${face.look}` }, html("span", { class: "fb-cell" }, icon(face.look), state)),
      html("td", {}, link),
      ...rest.map((text) => html("td", {}, html("bdi", {}, text))),
    );
    row.addEventListener("click", () => this.select(key));
    return row;
  }

  private sort(column: number): void {
    this.down = this.by === column && !this.down;
    this.by = column;
    for (const [i, head] of this.heads.entries()) {
      if (i === column) head.setAttribute("aria-sort", this.down ? "descending" : "ascending");
      else head.removeAttribute("aria-sort");
    }
    this.again();
  }
}

/** What has no value comes last, whichever way. */
function compare(a: Cell, b: Cell, down: boolean): number {
  if (a === b) return 0;
  if (a === undefined) return 1;
  if (b === undefined) return -1;
  return (a < b ? -1 : 1) * (down ? -1 : 1);
}
