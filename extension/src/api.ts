/** The server's REST interface, typed. Every error carries a sentence for a person. */

import { URLExt } from "@jupyterlab/coreutils";
import { ServerConnection } from "@jupyterlab/services";

/** One line of the list of runs. Times are in seconds since the epoch. */
export interface RunSummary {
  id: string;
  number: number;
  name: string;
  flow: string;
  deployment: string | null;
  trigger: string;
  look: string;
  word: string;
  message: string | null;
  created: number;
  started: number | null;
  ended: number | null;
  done: number;
  total: number;
  why: string | null;
  /** Addresses of the kept files, below the server's base URL. */
  notebook: string | null;
  html: string | null;
  svg: string | null;
  /** The executed notebook's place in the file browser, if it can be opened there. */
  notebook_path: string | null;
}

export interface LivingWorker {
  name: string;
  /** null for a process that serves deployments of its own. */
  pool: string | null;
  host: string;
  busy: number;
  slots: number;
  /** Seconds since it was heard of. */
  heartbeat_age: number;
  /** Whether this server hosts it. */
  hosted: boolean;
}

/** The workers that live, and whether schedules fire. */
export interface Workers {
  workers: LivingWorker[];
  /** Whether this server hosts a worker, by the settings. */
  hosting: "auto" | "on" | "off";
  /** Whether this server's own worker is about to be ready. */
  starting: boolean;
  deployments: number;
  schedules: number;
  fires: boolean;
  /** Pools that have schedules and no worker. */
  idle_pools: string[];
  /** In seconds since the epoch. */
  next_fire: number | null;
}

export interface PromoteRequest {
  path: string;
  name: string;
  schedule: string;
  timezone: string;
  /** Also a notebook whose runs will certainly fail. */
  force: boolean;
}

/** What was found in a notebook; `cell` and `line` count from 0 and 1, and are null where there is none. */
export interface Finding {
  severity: "error" | "warning";
  title: string;
  cell: number | null;
  line: number | null;
  why: string;
  fix: string;
}

export interface Promoted {
  deployment: { name: string; version: number };
  /** ISO 8601 with the offset of the schedule's zone. */
  next_fires: string[];
  /** How to start a worker, where this server hosts none. */
  worker_command: string | null;
  warnings: string[];
}

/** An answer that says why it is not what was asked for; `message` is the server's sentence. */
export class Refused extends Error {
  constructor(
    message: string,
    readonly findings: Finding[] = [],
  ) {
    super(message);
  }
}

export class FlowbookClient {
  constructor(private readonly settings: ServerConnection.ISettings) {}

  async runs(limit = 50): Promise<RunSummary[]> {
    return (await this.request<{ runs: RunSummary[] }>(`runs?limit=${limit}`)).runs;
  }

  workers(): Promise<Workers> {
    return this.request<Workers>("workers");
  }

  /** Have this server host a worker. */
  async startWorker(): Promise<void> {
    await this.request("workers", { method: "POST" });
  }

  promote(request: PromoteRequest): Promise<Promoted> {
    return this.request<Promoted>("promote", { method: "POST", body: JSON.stringify(request) });
  }

  /** The full address of a kept file. */
  address(file: string): string {
    return URLExt.join(this.settings.baseUrl, file);
  }

  private async request<T>(endpoint: string, init: RequestInit = {}): Promise<T> {
    const url = this.address(`flowbook/api/${endpoint}`);
    let response: Response;
    try {
      response = await ServerConnection.makeRequest(url, { cache: "no-store", ...init }, this.settings);
    } catch {
      throw new Refused("The Jupyter server cannot be reached.");
    }
    const answer = await response.json().catch(() => null);
    if (response.status >= 500) {
      throw new Refused(`The Jupyter server failed (status ${response.status}); its log says why.`);
    }
    if (!response.ok) {
      const sentence = answer?.message || `The Jupyter server answered with status ${response.status}.`;
      throw new Refused(sentence, answer?.findings);
    }
    return answer as T;
  }
}
