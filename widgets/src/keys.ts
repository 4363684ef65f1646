import { html } from "./elements";

/** The keys of the view, in words. They work only while the view has the focus. */
export const KEYS: readonly [string, string][] = [
  ["← →", "follow the edges"],
  ["↑ ↓", "previous and next task"],
  ["n  p", "next and previous failed task"],
  ["/", "find a task; Enter goes on, Esc clears"],
  ["l", "the log"],
  ["t", "the traceback of what failed"],
  ["Shift+R", "rerun from what failed, once the run has ended"],
  ["d", "debug what failed, once the run has ended"],
  [".", "cancel the run"],
  ["f", "fit the graph"],
  ["+  −", "zoom; also Ctrl and the wheel"],
  ["Esc", "close the details"],
  ["?", "these keys"],
];

/** The list of keys. */
export function keyList(): HTMLElement {
  const rows = KEYS.flatMap(([key, does]) => [
    html("dt", {}, ...key.split("  ").flatMap((one) => [html("kbd", {}, one), " "])),
    html("dd", {}, does),
  ]);
  return html("dl", { class: "fb-keys", hidden: "", "aria-label": "Keys" }, ...rows);
}
