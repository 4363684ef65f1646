import { expect, test } from "vitest";
import { readLeft } from "./left_behind";

const action = (code: string, problem = "") => ({ label: "Do", key: "d", code, problem });
const left = (...codes: string[]) => ({
  run: "0123abcd",
  kernel: "k",
  actions: codes.map((code) => action(code)),
});

test("what flowbook writes is offered", () => {
  const said = left("%flow run --from-failed", "%flow debug last 'two words'");
  expect(readLeft(said)?.actions.map(({ code }) => code)).toEqual(said.actions.map(({ code }) => code));
  expect(readLeft({ ...left(), actions: [action("", "no task failed")] })?.actions).toHaveLength(1);
});

test.each([
  "import os",
  "%flow run --all",
  "%flow debug last a\nimport os",
  "!rm -rf .",
  " %flow run --from-failed; import os",
])("a notebook cannot have a button run %j", (code) => {
  expect(readLeft(left(code))?.actions).toEqual([]);
});

test.each([
  null,
  "text",
  { kernel: "k", actions: [] },
  { run: '")+__import__("os")', kernel: "k", actions: [] },
  { run: "r", kernel: 1, actions: [] },
])("%j is nothing to offer buttons for", (data) => {
  expect(readLeft(data)).toBeUndefined();
});
