import { describe, expect, it } from "vitest";
import type { RunSummary } from "./api";
import { moment, progress, stem, tally, times, took } from "./words";

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

describe("tally", () => {
  it("counts what runs and what failed", () =>
    expect(
      tally([run, { ...run, look: "retrying" }, { ...run, look: "crashed" }, { ...run, look: "failed" }]),
    ).toBe("1 running · 2 failed"));
  it("is empty when all is well", () => expect(tally([run])).toBe(""));
});
