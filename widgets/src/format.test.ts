import { expect, test } from "vitest";
import { clockText, durationText, elapsed } from "./duration";
import { tallies } from "./header";
import { smallPrint, spoken } from "./nodes";
import type { Header, NodeFace } from "./types";

test.each([
  [0, "0 ms"],
  [0.0351, "35 ms"],
  [0.1, "0.1 s"],
  [2, "2.0 s"],
  [59.94, "59.9 s"],
  [59.96, "1 m 00 s"],
  [67, "1 m 07 s"],
  [3599.6, "1 h 00 m"],
  [7500, "2 h 05 m"],
  [273600, "3 d 04 h"],
])("a duration of %d seconds reads %s", (seconds, text) => {
  expect(durationText(seconds)).toBe(text);
});

test.each([
  [0.9, "0:00"],
  [67, "1:07"],
  [3723, "1:02:03"],
  [-3, "0:00"],
])("a clock at %d seconds shows %s", (seconds, text) => {
  expect(clockText(seconds)).toBe(text);
});

test("what has not begun has no duration, and what has ended does not tick", () => {
  expect(elapsed({}, 10)).toBeUndefined();
  expect(elapsed({ started: 4 }, 10)).toBe(6);
  expect(elapsed({ started: 4, ended: 5 }, 10)).toBe(1);
});

const failed: NodeFace = {
  look: "failed",
  word: "Failed",
  name: "validate",
  lead: "Failed",
  started: 1,
  ended: 3,
  note: "1 retry",
};

test.each<[NodeFace, number | undefined, string]>([
  [failed, undefined, "Failed · 2.0 s · 1 retry"],
  [failed, 16, "Failed · 2.0 s"],
  [{ look: "waiting", word: "Waiting", name: "a" }, undefined, ""],
  [{ look: "running", word: "Running", name: "a", started: 2.5 }, undefined, "7.5 s"],
  [
    {
      look: "running",
      word: "Running",
      name: "a",
      started: 2.5,
      note: "7/12 · 1 failed",
      done: 7,
      total: 12,
    },
    18,
    "7/12 · 1 failed",
  ],
])("the small print of %j", (face, most, text) => {
  expect(smallPrint(face, 10, most)).toBe(text);
});

test("a box is spoken with its name, word, duration and message", () => {
  expect(spoken({ ...failed, message: "ValueError: no" }, 10)).toBe(
    "validate: Failed, 2.0 s, 1 retry. ValueError: no",
  );
});

test("tallies use the singular", () => {
  const header = { done: 1, total: 1, retries: 1 } as Header;
  expect(tallies(header)).toEqual(["1/1 task", "1 retry"]);
  expect(tallies({ ...header, total: 3, retries: 2 })).toEqual(["1/3 tasks", "2 retries"]);
  expect(tallies({ ...header, total: 0, retries: 0 })).toEqual([]);
});
