import { html } from "./elements";

/** Escape sequences of terminals: colours, cursor moves, titles and links. */
const ESC = String.fromCharCode(27);
const BEL = String.fromCharCode(7);
const CONTROL = String.fromCharCode(0, 45, 8, 11, 45, 31, 127); // two ranges, and DEL
const ESCAPES = new RegExp(
  `${ESC}(?:\\[([0-9;:?]*)([ -/]*[@-~])|\\][^${ESC}${BEL}]*(?:${BEL}|${ESC}\\\\)|[@-Z\\\\-_])|[${CONTROL}]`,
  "g",
);
const COLOURS = ["black", "red", "green", "yellow", "blue", "magenta", "cyan", "white"];

/** The text as elements: bold, italic, underlined and in the eight colours, as its escape sequences say. */
export function plain(text: string): DocumentFragment {
  const made = document.createDocumentFragment();
  let style = new Set<string>();
  let at = 0;
  const put = (end: number) => {
    const part = text.slice(at, end);
    if (!part) return;
    const classes = [...style].map((name) => `fb-ansi-${name}`).join(" ");
    made.append(classes ? html("span", { class: classes }, part) : part);
  };
  for (const found of text.matchAll(ESCAPES)) {
    put(found.index);
    at = found.index + found[0].length;
    if (found[2] === "m") style = restyled(style, (found[1] ?? "").split(/[;:]/).map(Number));
  }
  put(text.length);
  return made;
}

function restyled(before: Set<string>, codes: number[]): Set<string> {
  const style = new Set(before);
  const without = (names: string[]) => {
    for (const name of names) style.delete(name);
  };
  for (let i = 0; i < codes.length; i++) {
    const code = codes[i] ?? 0;
    if (code === 38 || code === 48) {
      i += codes[i + 1] === 5 ? 2 : 4; // of 256 colours, and of millions: these stay as the text is
    } else if (code === 0) style.clear();
    else if (code === 1) style.add("bold");
    else if (code === 3) style.add("italic");
    else if (code === 4) style.add("underline");
    else if (code === 22) style.delete("bold");
    else if (code === 23) style.delete("italic");
    else if (code === 24) style.delete("underline");
    else if (code === 39) without(COLOURS);
    else if ((code >= 30 && code <= 37) || (code >= 90 && code <= 97)) {
      without(COLOURS);
      style.add(COLOURS[code % 10] ?? "black");
    }
  }
  return style;
}
