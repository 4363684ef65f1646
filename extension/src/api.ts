/** The server's REST interface, typed. Every error carries a sentence for a person. */

import { URLExt } from "@jupyterlab/coreutils";
import { ServerConnection } from "@jupyterlab/services";
import type {
  Draft,
  Finding,
  Promoted,
  PromoteRequest,
  SchedulePreview,
  TypedKind,
  Values,
} from "./promoting";

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
  /** The number of the run before it, if both have ended, and the address of what is different. */
  previous: number | null;
  diff: string | null;
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

/** A deployment in a list. */
export interface DeploymentSummary {
  name: string;
  flow: string;
  version: number;
  paused: boolean;
  /** In words, with their zones. */
  schedules: string[];
  /** In seconds since the epoch; null when nothing is to come. */
  next_fire: number | null;
}

/** An answer that says why it is not what was asked for; `message` is the server's sentence. */
export class Refused extends Error {
  constructor(
    message: string,
    readonly findings: Finding[] = [],
    /** Of what was sent, the part that does not fit: `cron`, `timezone`, `parameters.limit`. */
    readonly field: string | null = null,
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

  async deployments(): Promise<DeploymentSummary[]> {
    return (await this.request<{ deployments: DeploymentSummary[] }>("deployments")).deployments;
  }

  /**
   * What is asked, and told, before the notebook at `path` becomes a deployment; `name` is its own unless given, and
   * `flow` that which `flowbook promote` takes.
   */
  draft(path: string, name = "", flow = ""): Promise<Draft> {
    return this.request<Draft>(`promote/draft?${new URLSearchParams({ path, name, flow })}`);
  }

  /** What a schedule means that is being typed; refused with the field that does not fit. */
  schedule(kind: TypedKind, text: string, timezone: string): Promise<SchedulePreview> {
    return this.request<SchedulePreview>(`promote/schedule?${new URLSearchParams({ kind, text, timezone })}`);
  }

  /** Why values do not fit the parameters of a notebook or its flow, by name; empty if all do. */
  async parameterProblems(path: string, flow: string, parameters: Values): Promise<Record<string, string>> {
    const body = JSON.stringify({ path, flow, parameters });
    const answer = await this.request<{ problems: Record<string, string> }>("promote/parameters", {
      method: "POST",
      body,
    });
    return answer.problems;
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
      throw new Refused(sentence, answer?.findings, answer?.field ?? null);
    }
    return answer as T;
  }
}
