/** What the kernel says can be done about a run that failed. It stands in a notebook, which anybody may have written. */

export interface Action {
  label: string;
  key: string;
  /** The code to execute; empty if there is a problem. */
  code: string;
  problem: string;
}

export interface Left {
  run: string;
  /** The id of the kernel that ran it. */
  kernel: string;
  actions: Action[];
}

/** The keys that open a part of the card, by how its title begins. */
export const KEYS: Record<string, string> = { t: "Traceback", l: "Log" };

/** Only these are ever executed: whatever a notebook says, a button runs nothing else. */
const KNOWN = /^%flow (?:run --from-failed|debug last [^\r\n]+)$/;

export function canRun(code: string): boolean {
  return KNOWN.test(code);
}

/** The data as what it should be; undefined if it is not. */
export function readLeft(data: unknown): Left | undefined {
  const { run, kernel, actions } = (data ?? {}) as Partial<Left>;
  if (typeof run !== "string" || !/^[\w-]{1,64}$/.test(run)) return undefined;
  if (typeof kernel !== "string" || !Array.isArray(actions)) return undefined;
  const known = actions.filter(
    ({ label, key, code, problem }) =>
      [label, key, code, problem].every((part) => typeof part === "string") && (problem || canRun(code)),
  );
  return { run, kernel, actions: known };
}
