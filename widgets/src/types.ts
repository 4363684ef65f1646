/** What the kernel sends: the JSON of `flowbook_widgets/messages.py`. Times are seconds of the kernel's clock. */

export interface NodeFace {
  look: string;
  word: string;
  name: string;
  /** Before the duration in the small print: the word of a state that is not the usual one. */
  lead?: string;
  /** After the duration: "1 retry", "640/1000 · 2 failed". */
  note?: string;
  message?: string;
  attempts?: number;
  started?: number;
  ended?: number;
  /** For a box of many runs. */
  done?: number;
  total?: number;
  looks?: string[];
}

export interface Header {
  look: string;
  word: string;
  flow: string;
  name: string;
  started?: number;
  ended?: number;
  done: number;
  total: number;
  retries: number;
  /** How many tasks look like what, in the order in which they are shown. */
  counts: Record<string, number>;
  /** The whole story, once the run has ended. */
  sentence?: string;
  /** The first failure, as soon as it is known. */
  problem?: string;
  /** The name of the task that failed first. */
  failed?: string;
}

/** The shape of the graph: sent when it changes. */
export interface Graph {
  id: number;
  svg: string;
  /** Why there is no picture. */
  problem?: string;
}

/** Everything but the shape, as of `version`. */
export interface Snapshot {
  graph: number;
  version: number;
  now: number;
  header: Header;
  nodes: Record<string, NodeFace>;
}

/** What changed from the version before. */
export interface Delta {
  type: "delta";
  graph: number;
  version: number;
  now: number;
  header?: Header;
  nodes: Record<string, NodeFace>;
}

/** What the kernel is asked. */
export type Question =
  | { what: "logs"; after: number; node?: string }
  | { what: "details"; node: string }
  | { what: "failure" }
  | { what: "cancel" };

/** What it answers; `seen` is the number of the last line, for the next question. */
export interface Answer {
  lines?: LogLine[];
  seen?: number;
  failure?: Failure;
  /** Why nothing came of what was asked for. */
  problem?: string;
  /** Of a task: titles and texts, names and short values, the lines of its traceback. */
  facts?: [string, string][];
  inputs?: [string, string][];
  result?: [string, string][];
  frames?: Frame[];
  /** Of a box of many runs: these, those in trouble first, and how many are not listed. */
  members?: NodeFace[];
  more?: number;
}

/** One line of a traceback; `own`: the user wrote it. */
export interface Frame {
  where: string;
  code: string;
  own: boolean;
}

export interface LogLine {
  time: number;
  level: string;
  message: string;
  /** The name of the task that said it. */
  task?: string;
}

/** Why the run failed: `flowbook/core/failure.py`. */
export interface Failure {
  /** "Failed · validate · cell In[7], line 1 · attempt 1 of 1" */
  title: string;
  task: string;
  look: string;
  message: string;
  /** The user's line that failed. */
  source: string;
  inputs: [string, string][];
  last_success: string | null;
  not_run: string;
  frames: Frame[];
  log: LogLine[];
}
