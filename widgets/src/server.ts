import type { Answer } from "./types";

/**
 * Have the Jupyter server of this page cancel a run: it hears while the kernel is busy. Undefined where there is no such
 * server, or flowbook is no extension of it.
 */
export async function cancelOverServer(run: string): Promise<Answer | undefined> {
  try {
    const said = document.getElementById("jupyter-config-data")?.textContent;
    if (!said || !run) return undefined;
    const { baseUrl = "/", token = "" } = JSON.parse(said) as { baseUrl?: string; token?: string };
    const xsrf = /(?:^|; )_xsrf=([^;]*)/.exec(document.cookie)?.[1] ?? "";
    const headers = { "X-XSRFToken": xsrf, ...(token ? { Authorization: `token ${token}` } : {}) };
    const url = `${baseUrl}flowbook/api/runs/${encodeURIComponent(run)}/cancel`;
    const response = await fetch(url, { method: "POST", headers, credentials: "same-origin" });
    if (response.ok) return {};
    const { message } = (await response.json()) as { message?: string };
    return message ? { problem: message } : undefined;
  } catch {
    return undefined; // no server that answers in JSON
  }
}
