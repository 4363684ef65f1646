/** Icons: one shape for each kind of state, the same as in every other view of flowbook, and flowbook's own. */

import { LabIcon } from "@jupyterlab/ui-components";
import shapes from "../../engine/flowbook/visualize/icons.json";

const SVG = "http://www.w3.org/2000/svg";

/** The shape of a state, coloured by its class; the word beside it says the same, so it is hidden from readers. */
export function stateIcon(look: string): SVGElement {
  const svg = document.createElementNS(SVG, "svg");
  const path = document.createElementNS(SVG, "path");
  path.setAttribute("d", (shapes as Record<string, string>)[look] ?? shapes.waiting);
  svg.setAttribute("viewBox", "0 0 16 16");
  svg.setAttribute("aria-hidden", "true");
  svg.setAttribute("class", `flowbook-icon flowbook-${look}`);
  svg.append(path);
  return svg;
}

/** Three tasks of a graph: one, then two that need it. */
export const flowIcon = new LabIcon({
  name: "flowbook:flow",
  svgstr:
    '<svg xmlns="http://www.w3.org/2000/svg" width="16" viewBox="0 0 16 16"><g class="jp-icon3" fill="#616161">' +
    '<path d="M5.6 7.2h1.2c.7 0 .9-.3 1.1-.9l.3-1c.4-1.1 1-1.7 2.3-1.7v1.6c-.5 0-.6.2-.8.7l-.3 1c-.1.4-.3.8-.6 1.1' +
    '.3.3.5.7.6 1.1l.3 1c.2.5.3.7.8.7v1.6c-1.3 0-1.9-.6-2.3-1.7l-.3-1c-.2-.6-.4-.9-1.1-.9H5.6z"/>' +
    '<rect x="1" y="5.5" width="5" height="5" rx="1.2"/><rect x="10" y="1.9" width="5" height="5" rx="1.2"/>' +
    '<rect x="10" y="9.1" width="5" height="5" rx="1.2"/></g></svg>',
});
