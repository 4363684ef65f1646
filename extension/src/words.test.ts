import { describe, expect, it } from "vitest";
import type { LivingWorker, RunSummary, Workers } from "./api";
import {
  capturedText,
  counted,
  deploymentText,
  fireText,
  moment,
  progress,
  promotedText,
  standing,
  stem,
  tally,
  times,
  took,
  versionText,
} from "./words";

const run: RunSummary = {
  id: "a",
  number: 128,
  name: "amber-otter",
  flow: "nightly",
  deployment: null,
  trigger: "call",
  look: "succeeded",
  word: "Succeeded",
  message: null,
  created: 1_795_200_000,
  started: 1_795_200_002,
  ended: 1_795_200_011.4,
  done: 57,
  total: 57,
  why: null,
  notebook: null,
  html: null,
  svg: null,
  notebook_path: null,
  previous: null,
  diff: null,
};

describe("took", () => {
  it("ends at the run's end", () => expect(took(run, run.created + 900)).toBe("9.4 s"));
  it("goes on while the run does", () =>
    expect(took({ ...run, ended: null }, run.created + 69)).toBe("1:07"));
  it("is not negative when the clocks differ", () =>
    expect(took({ ...run, ended: null }, run.created - 5)).toBe("0:00"));
  it("is empty before the start", () => expect(took({ started: null, ended: null }, 1)).toBe(""));
});

describe("moment", () => {
  it.each([
    ["2026-11-23T06:00:00Z", "Europe/Zurich", "Mon 23 Nov, 07:00 CET"],
    ["2026-07-05T22:05:00Z", "Europe/Zurich", "Mon 6 Jul, 00:05 CEST"],
    ["2026-11-23T06:00:00+00:00", "UTC", "Mon 23 Nov, 06:00 UTC"],
  ])("says %s in %s as %s", (time, zone, said) => expect(moment(new Date(time), zone)).toBe(said));
});

describe("progress", () => {
  it("says how far the run is", () => expect(progress({ ...run, done: 54 })).toBe("54/57 tasks"));
  it("says why it failed instead", () =>
    expect(progress({ ...run, why: "ValueError: x" })).toBe("ValueError: x"));
  it("has nothing to say of a run without tasks", () => expect(progress({ ...run, total: 0 })).toBe(""));
});

describe("times", () => {
  it("says when a run started and how long it took", () =>
    expect(times(run, 0, "UTC")).toMatch(/^\w{3} \d+ \w{3}, \d\d:\d\d UTC · 9\.4 s$/));
  it("says when a run was created that has not begun", () =>
    expect(times({ ...run, started: null, ended: null }, 0, "UTC")).toMatch(/^created .* UTC$/));
});

describe("stem", () => {
  it.each([
    ["reports/nightly.ipynb", "nightly"],
    ["v1.2.ipynb", "v1.2"],
    ["plain", "plain"],
  ])("of %s is %s", (path, said) => expect(stem(path)).toBe(said));
});

describe("fireText", () => {
  const now = new Date("2026-11-23T06:00:00Z");
  it.each([
    ["2026-11-24T06:00:00Z", "Tue 24 Nov, 07:00 CET"],
    ["2028-02-29T06:00:00Z", "Tue 29 Feb 2028, 07:00 CET"],
  ])("says %s as %s", (time, said) => expect(fireText(new Date(time), "Europe/Zurich", now)).toBe(said));
});

describe("versionText", () => {
  it.each([
    [1, null, ""],
    [4, 2, "v4 (2 cells changed since v3)"],
    [4, 1, "v4 (1 cell changed since v3)"],
    [4, 0, "v4 (no cells changed since v3)"],
    [4, null, "v4"],
  ])("says version %s with %s changes as %s", (version, changed, said) =>
    expect(versionText({ version, changed })).toBe(said),
  );
});

describe("counted", () => {
  const kinds = (...all: ("error" | "warning")[]) => all.map((severity) => ({ severity }));
  it("counts each kind", () =>
    expect(counted(kinds("warning", "error", "warning"))).toBe("1 error and 2 warnings"));
  it("says so when there is nothing", () => expect(counted([])).toBe("nothing found"));
});

describe("capturedText", () => {
  it("leaves out what there is none of", () => {
    const none = { cells: ["cell 1"], modules: [], packages: ["a 1", "b 2"], variables: [] };
    expect(capturedText({ ...none, kernel: "python3", python: "3.12" })).toBe("Captured: 1 cell, 2 packages");
  });
});

describe("promotedText", () => {
  const made = { deployment: { name: "nightly", version: 2 }, worker_command: null, warnings: [] };
  it.each([
    [
      ["2026-11-23T07:00:00+01:00"],
      undefined,
      "nightly is deployed (version 2). Next run: Mon 23 Nov, 07:00.",
    ],
    [
      ["2026-11-23T07:00:00+00:00"],
      undefined,
      "nightly is deployed (version 2). Next run: Mon 23 Nov, 07:00 UTC.",
    ],
    [[], 12, "nightly is deployed (version 2). Run 12 is asked for. It runs on demand."],
  ])("says %s and run %s", (next_fires, run, said) =>
    expect(promotedText({ ...made, next_fires, run })).toBe(said),
  );
});

describe("deploymentText", () => {
  const weekdays = { name: "n", flow: "f", version: 1, schedules: ["Weekdays at 07:00, Europe/Zurich"] };
  it.each([
    [
      { ...weekdays, paused: false, next_fire: 1_795_413_600 },
      "Weekdays at 07:00, Europe/Zurich · next Mon 23 Nov, 06:00 UTC",
    ],
    [{ ...weekdays, paused: true, next_fire: null }, "Weekdays at 07:00, Europe/Zurich · paused"],
    [{ ...weekdays, schedules: [], paused: false, next_fire: null }, "On demand"],
  ])("of %o", (deployment, said) => expect(deploymentText(deployment, "UTC")).toBe(said));
});

describe("tally", () => {
  it("counts what runs and what failed", () =>
    expect(
      tally([run, { ...run, look: "retrying" }, { ...run, look: "crashed" }, { ...run, look: "failed" }]),
    ).toBe("1 running · 2 failed"));
  it("is empty when all is well", () => expect(tally([run])).toBe(""));
});

describe("standing", () => {
  const here: LivingWorker = {
    name: "laptop-4711",
    pool: "default",
    host: "laptop",
    busy: 1,
    slots: 2,
    heartbeat_age: 3,
    hosted: true,
  };
  const found: Workers = {
    workers: [here],
    hosting: "auto",
    starting: false,
    deployments: 1,
    schedules: 1,
    fires: true,
    idle_pools: [],
    next_fire: Date.parse("2026-11-23T06:00:00Z") / 1000,
  };
  const told = (changes: Partial<Workers>) => standing({ ...found, ...changes }, "Europe/Zurich");

  it("says that this server is the worker, how busy it is, and what comes next", () =>
    expect(told({})).toEqual({
      text: "Worker: this server, 1 of 2 busy. Next run: Mon 23 Nov, 07:00 CET.",
      isProblem: false,
      mayStart: false,
    }));
  it("says that this server is about to be one", () =>
    expect(told({ workers: [], idle_pools: ["default"], starting: true })).toEqual({
      text: "Worker: this server, starting…",
      isProblem: false,
      mayStart: false,
    }));
  it("names a worker that is elsewhere", () =>
    expect(told({ workers: [{ ...here, hosted: false }], schedules: 0 })?.text).toBe(
      "Worker: laptop-4711, 1 of 2 busy.",
    ));
  it("adds several up", () =>
    expect(told({ workers: [here, { ...here, busy: 0, slots: 4 }], next_fire: null })?.text).toBe(
      "2 workers, 1 of 6 busy.",
    ));
  it("says that nothing fires, and offers to start one", () =>
    expect(told({ workers: [], idle_pools: ["default"], fires: false })).toEqual({
      text: "No worker: schedules are not firing.",
      isProblem: true,
      mayStart: true,
    }));
  it("names the pools that have none", () =>
    expect(told({ idle_pools: ["gpu", "night"], fires: false })).toEqual({
      text: 'No worker for pools "gpu", "night": schedules are not firing.',
      isProblem: true,
      mayStart: false,
    }));
  it("offers nothing that the settings forbid", () =>
    expect(told({ workers: [], idle_pools: ["default"], hosting: "off" })?.mayStart).toBe(false));
  it("says that runs wait where there are deployments without schedules", () =>
    expect(told({ workers: [], schedules: 0 })?.text).toBe("No worker: runs wait for one."));
  it("says nothing where nothing was deployed", () =>
    expect(told({ workers: [], schedules: 0, deployments: 0 })).toBeNull());
});
