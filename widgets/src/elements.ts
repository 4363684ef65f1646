import outlines from "../../engine/flowbook/visualize/icons.json";

export const SVG = "http://www.w3.org/2000/svg";

type Attributes = Record<string, string | number>;

/** An HTML element; text goes in as text only. */
export function html<K extends keyof HTMLElementTagNameMap>(
  tag: K,
  attributes: Attributes = {},
  ...children: (Node | string)[]
): HTMLElementTagNameMap[K] {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, String(value));
  made.append(...children);
  return made;
}

/** An SVG element. */
export function svg(tag: string, attributes: Attributes = {}, ...children: Node[]): SVGElement {
  const made = document.createElementNS(SVG, tag) as SVGElement;
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, String(value));
  made.append(...children);
  return made;
}

/** The outline of the icon of a look, on 16 by 16 pixels, its commands all relative: it may follow upon "M x y". */
export function outline(look: string): string {
  return (outlines as Record<string, string>)[look] ?? outlines.waiting;
}

/** The icon of a look, coloured by the class of what holds it. */
export function icon(look: string): SVGElement {
  const path = svg("path", { d: outline(look), "fill-rule": "evenodd" });
  return svg(
    "svg",
    { class: "fb-glyph", viewBox: "0 0 16 16", width: 14, height: 14, "aria-hidden": "true" },
    path,
  );
}
