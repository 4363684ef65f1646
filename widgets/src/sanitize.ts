import { SVG } from "./elements";

/** All that the kernel's drawing consists of. Whatever else is in the text does not reach the page. */
const ALLOWED: Record<string, readonly string[]> = {
  svg: ["width", "height", "viewBox"],
  g: ["data-node"],
  title: [],
  rect: ["x", "y", "width", "height", "rx"],
  path: ["d", "fill-rule", "data-from", "data-to"],
  text: ["x", "y"],
};

/** The drawing in `source`, rebuilt element by element from what is allowed; null if it is no SVG. */
export function safeSvg(source: string): SVGSVGElement | null {
  const parsed = new DOMParser().parseFromString(source, "image/svg+xml");
  const root = parsed.documentElement;
  if (root.localName !== "svg" || parsed.getElementsByTagName("parsererror").length > 0) return null;
  return copy(root) as SVGSVGElement;
}

function copy(from: Element): SVGElement | null {
  const attributes = from.namespaceURI === SVG ? ALLOWED[from.localName] : undefined;
  if (!attributes) return null;
  const made = document.createElementNS(SVG, from.localName) as SVGElement;
  for (const name of attributes) {
    const value = from.getAttribute(name);
    if (value !== null) made.setAttribute(name, value);
  }
  const classes = (from.getAttribute("class") ?? "").split(/\s+/).filter((name) => /^fb-[a-z-]+$/.test(name));
  if (classes.length) made.setAttribute("class", classes.join(" "));
  for (const child of from.childNodes) {
    if (child.nodeType === Node.TEXT_NODE) made.append(child.nodeValue ?? "");
    else if (child.nodeType === Node.ELEMENT_NODE) {
      const inner = copy(child as Element);
      if (inner) made.append(inner);
    }
  }
  return made;
}
