/** What the server and the Promote dialog say to each other. */

/** Values of parameters by name: texts as typed, and what is no text (a yes or no, a list, a choice) as itself. */
export type Values = Record<string, unknown>;

/** What a schedule can be typed as. */
export type TypedKind = "cron" | "interval";

export interface PromoteRequest {
  path: string;
  name: string;
  /** One of those of the draft; empty where there is none to choose. */
  flow: string;
  /** Empty: as it was deployed; `demand`: no schedule. */
  when: "" | "demand" | TypedKind;
  text: string;
  timezone: string;
  catchup: string;
  /** Empty: as it was deployed. */
  overlap: string;
  pool: string;
  /** Only those that are to be other than they stand. */
  parameters: Values;
  /** The files that are declared; null: as it was deployed. */
  data: string[] | null;
  /** Also a notebook whose runs will certainly fail. */
  force: boolean;
  /** Ask for a run at once. */
  run_once: boolean;
}

/** What was found in a notebook; `cell` and `line` count from 0 and 1, and are null where there is none. */
export interface Finding {
  severity: "error" | "warning";
  /** `Cell 4`, as prompts count; or what it is about instead of a cell. */
  title: string;
  cell: number | null;
  line: number | null;
  why: string;
  fix: string;
}

export interface ParameterField {
  name: string;
  kind: "text" | "int" | "float" | "bool" | "date" | "datetime" | "time" | "list" | "choice" | "json";
  /** Its annotation; empty if there is none. */
  type: string;
  /** What stands in the field at first; JSON for a choice, an item to a line for a list. */
  text: string;
  /** The default as written where it is no literal: `date.today()`. */
  hint: string;
  optional: boolean;
  required: boolean;
  is_kept: boolean;
  choices: unknown[];
  /** The number of the code cell that it comes from. */
  cell: number | null;
}

export interface StandingSchedule {
  words: string;
  timezone: string;
  catchup: string;
  /** null for one that says more than can be typed here. */
  kind: TypedKind | null;
  text: string;
}

export interface Captured {
  cells: string[];
  modules: string[];
  packages: string[];
  /** Names of environment variables. */
  variables: string[];
  kernel: string;
  python: string;
}

/** What can be promoted of a notebook that defines flows: one of them, or with an empty `flow` all of its tasks. */
export interface FlowChoice {
  flow: string;
  name: string;
}

/** A file that a cell reads, or that is declared for the version before. */
export interface DataFile {
  /** Seen from the notebook's folder. */
  path: string;
  declared: boolean;
  is_there: boolean;
  /** `cell 3, line 2`; empty for one that no code names. */
  read_in: string;
}

/** The deployment that a notebook would become. */
export interface Draft {
  name: string;
  name_problem: string | null;
  /** The number that this version would get. */
  version: number;
  /** How many cells are different from the version before; null where there is none, or it is not known. */
  changed: number | null;
  is_paused: boolean;
  /** The one of `flows` that it is about; none of them where a person has to choose. */
  flow: string;
  /** Empty where there is nothing to choose. */
  flows: FlowChoice[];
  parameters: ParameterField[];
  schedules: StandingSchedule[];
  /** null where something stands that has no word. */
  overlap: string | null;
  concurrency_limit: number | null;
  pool: string;
  pools: { name: string; workers: number; paused: boolean }[];
  data_files: DataFile[];
  /** null for a notebook that cannot be read. */
  captured: Captured | null;
  findings: Finding[];
  warnings: string[];
}

export interface Fire {
  /** ISO 8601 with the offset of the schedule's zone. */
  at: string;
  /** By how many seconds the clocks move before it. */
  shift: number;
}

export interface SchedulePreview {
  words: string;
  fires: Fire[];
  caveats: string[];
}

export interface Promoted {
  deployment: { name: string; version: number };
  /** ISO 8601 with the offset of the schedule's zone. */
  next_fires: string[];
  /** How to start a worker, where this server hosts none. */
  worker_command: string | null;
  warnings: string[];
  /** The number of the run that was asked for, and why there is none. */
  run?: number | null;
  no_run?: string | null;
}
