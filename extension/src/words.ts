/** What the panel and the dialog say of runs and times. Pure: no DOM, no clock. */

import { clockText, durationText } from "../../widgets/src/duration";
import type { DeploymentSummary, RunSummary, Workers } from "./api";
import type { Captured, Draft, Finding, Promoted } from "./promoting";

/** How long a run took (`9.4 s`), or a clock of how long it has been going on (`1:07`); empty before it has begun. */
export function took(run: Pick<RunSummary, "started" | "ended">, now: number): string {
  if (run.started === null) {
    return "";
  }
  return run.ended === null
    ? clockText(now - run.started)
    : durationText(Math.max(0, run.ended - run.started));
}

/** `Fri 20 Nov, 07:00 CET`: a moment in a zone (the browser's unless given), with the zone's name. */
export function moment(time: Date, zone?: string): string {
  const parts = new Intl.DateTimeFormat("en-GB", {
    weekday: "short",
    day: "numeric",
    month: "short",
    hour: "2-digit",
    minute: "2-digit",
    hourCycle: "h23",
    timeZone: zone,
    timeZoneName: "short",
  }).formatToParts(time);
  const part = (type: Intl.DateTimeFormatPartTypes) => parts.find((p) => p.type === type)?.value ?? "";
  return (
    `${part("weekday")} ${part("day")} ${part("month")}, ` +
    `${part("hour")}:${part("minute")} ${part("timeZoneName")}`
  );
}

/** The second line of a run: why it ended badly, or how far it is. */
export function progress(run: RunSummary): string {
  if (run.why) {
    return run.why;
  }
  return run.total ? `${run.done}/${run.total} tasks` : "";
}

/** The third line of a run: when it started, and how long it took. */
export function times(run: RunSummary, now: number, zone?: string): string {
  const begun = moment(new Date((run.started ?? run.created) * 1000), zone);
  return run.started === null ? `created ${begun}` : `${begun} · ${took(run, now)}`;
}

/** The stem of a notebook's file name: what a deployment is called unless told otherwise. */
export function stem(path: string): string {
  const name = path.slice(path.lastIndexOf("/") + 1);
  return name.replace(/\.ipynb$/, "");
}

/** A moment as `moment` says it, with the year if it is not this one. */
export function fireText(time: Date, zone: string, now: Date): string {
  const year = (of: Date) => new Intl.DateTimeFormat("en-GB", { year: "numeric", timeZone: zone }).format(of);
  const said = moment(time, zone);
  return year(time) === year(now) ? said : said.replace(",", ` ${year(time)},`);
}

/** `v4 (2 cells changed since v3)`; empty for a first version. */
export function versionText(draft: Pick<Draft, "version" | "changed">): string {
  const { version, changed } = draft;
  if (version === 1) {
    return "";
  }
  const count = changed === 1 ? "1 cell" : `${changed || "no"} cells`;
  return `v${version}${changed === null ? "" : ` (${count} changed since v${version - 1})`}`;
}

/** `1 error and 2 warnings`; `nothing found`. */
export function counted(findings: readonly Pick<Finding, "severity">[]): string {
  const parts = (["error", "warning"] as const)
    .map((kind) => [findings.filter(({ severity }) => severity === kind).length, kind] as const)
    .filter(([count]) => count > 0)
    .map(([count, kind]) => plural(count, kind));
  return parts.join(" and ") || "nothing found";
}

/** `Cell 4, line 2`. */
export function where(finding: Pick<Finding, "title" | "line">): string {
  return finding.line === null ? finding.title : `${finding.title}, line ${finding.line}`;
}

/** `Captured: 9 cells, 3 modules, 41 packages, 2 environment variables`, without what there is none of. */
export function capturedText(captured: Captured): string {
  const counts: [number, string][] = [
    [captured.cells.length, "cell"],
    [captured.modules.length, "module"],
    [captured.packages.length, "package"],
    [captured.variables.length, "environment variable"],
  ];
  const parts = counts.filter(([count]) => count > 0).map(([count, noun]) => plural(count, noun));
  return `Captured: ${parts.join(", ")}`;
}

/** `Weekdays at 07:00, Europe/Zurich · next Mon 23 Nov, 07:00 CET`: when a deployment runs. */
export function deploymentText(deployment: DeploymentSummary, zone?: string): string {
  const { paused, schedules, next_fire } = deployment;
  const when = schedules.join("; ") || "On demand";
  const next = next_fire === null ? "" : ` · next ${moment(new Date(next_fire * 1000), zone)}`;
  return paused ? `${when} · paused` : `${when}${next}`;
}

/** What a notification says of a deployment that was made. */
export function promotedText(promoted: Promoted): string {
  const { deployment, next_fires, run } = promoted;
  const parts = [`${deployment.name} is deployed (version ${deployment.version}).`];
  if (run) {
    parts.push(`Run ${run} is asked for.`);
  }
  const [next] = next_fires;
  parts.push(next ? `Next run: ${momentOf(next)}.` : "It runs on demand.");
  return parts.join(" ");
}

/** The moment of a text such as `2026-11-23T07:00:00+01:00`, by the clock that wrote it. */
function momentOf(text: string): string {
  const offset = /([+-]\d\d:\d\d)$/.exec(text)?.[1] ?? "UTC";
  return moment(new Date(text), offset).replace(/ \S+$/, offset === "+00:00" ? " UTC" : "");
}

function plural(count: number, noun: string): string {
  return `${count} ${noun}${count === 1 ? "" : "s"}`;
}

/** `2 running · 1 failed` for the panel's heading; empty when there is nothing to say. */
export function tally(runs: readonly RunSummary[]): string {
  const count = (...looks: string[]) => runs.filter((run) => looks.includes(run.look)).length;
  const parts = [
    [count("running", "retrying"), "running"],
    [count("failed", "crashed"), "failed"],
  ] as const;
  return parts
    .filter(([n]) => n > 0)
    .map(([n, word]) => `${n} ${word}`)
    .join(" · ");
}

/** What the panel says of workers: a sentence, whether something is wrong, and whether this server may start one. */
export interface Standing {
  text: string;
  isProblem: boolean;
  mayStart: boolean;
}

/** `Worker: this server, 1 of 2 busy`; null when there is neither a worker nor anything that waits for one. */
export function standing(found: Workers, zone?: string): Standing | null {
  const { workers, idle_pools, schedules, deployments } = found;
  if (found.starting) {
    return { text: "Worker: this server, starting…", isProblem: false, mayStart: false };
  }
  if (idle_pools.length > 0) {
    const mayStart = idle_pools.includes("default") && found.hosting !== "off";
    const pools = idle_pools.map((pool) => `"${pool}"`).join(", ");
    const text =
      workers.length === 0
        ? "No worker: schedules are not firing."
        : `No worker for ${idle_pools.length === 1 ? "pool" : "pools"} ${pools}: schedules are not firing.`;
    return { text, isProblem: true, mayStart };
  }
  if (workers.length === 0) {
    return deployments === 0
      ? null
      : { text: "No worker: runs wait for one.", isProblem: false, mayStart: found.hosting !== "off" };
  }
  const sum = (of: "busy" | "slots") => workers.reduce((total, worker) => total + worker[of], 0);
  const [first] = workers;
  const who = first.hosted ? "this server" : first.name;
  const name = workers.length === 1 ? `Worker: ${who}` : `${workers.length} workers`;
  const next =
    schedules > 0 && found.next_fire !== null
      ? ` Next run: ${moment(new Date(found.next_fire * 1000), zone)}.`
      : "";
  return {
    text: `${name}, ${sum("busy")} of ${sum("slots")} busy.${next}`,
    isProblem: false,
    mayStart: false,
  };
}
