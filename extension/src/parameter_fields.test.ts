// @vitest-environment happy-dom
import { afterEach, describe, expect, it, vi } from "vitest";
import { ParameterFields } from "./parameter_fields";
import type { ParameterField } from "./promoting";

const plain: ParameterField = {
  name: "limit",
  kind: "int",
  type: "int",
  text: "1000",
  hint: "",
  optional: false,
  required: false,
  is_kept: false,
  choices: [],
  cell: 1,
};

function shown(...fields: Partial<ParameterField>[]) {
  const check = vi.fn(async () => ({ limit: "It is no number." }) as Record<string, string>);
  const made = new ParameterFields(check, vi.fn());
  made.show(fields.map((field) => ({ ...plain, ...field })));
  document.body.replaceChildren(made.node);
  const control = (index: number) =>
    made.node.querySelectorAll("input, select, textarea")[index] as HTMLInputElement;
  const type = (index: number, text: string) => {
    control(index).value = text;
    control(index).dispatchEvent(new Event("input", { bubbles: true }));
  };
  return { made, check, control, type };
}

afterEach(() => vi.useRealTimers());

describe("ParameterFields", () => {
  it.each<[string, Partial<ParameterField>, string, unknown]>([
    ["a number as it was typed", {}, "7", "7"],
    ["an optional one that is empty as nothing", { optional: true }, "", null],
    ["a list by its lines", { kind: "list", text: "a" }, "a\nb\n", ["a", "b"]],
    ["a placeholder for a list as text", { kind: "list", text: "a" }, "{{ run_id }}", "{{ run_id }}"],
    ["a choice as its value", { kind: "choice", text: '"fast"', choices: ["fast", 3] }, "3", 3],
    ["an optional yes or no as a choice", { kind: "bool", text: "true", optional: true }, "false", false],
    ["JSON as it was typed", { kind: "json", text: "{}" }, '{"a": 1}', '{"a": 1}'],
  ])("gives %s", (_, field, text, value) => {
    const { made, type } = shown(field);
    expect(made.values).toEqual({});
    type(0, text);
    expect(made.values).toEqual({ limit: value });
  });

  it("ties what is wrong to its field", async () => {
    vi.useFakeTimers();
    const { made, check, control, type } = shown({}, { name: "rate", kind: "float" });
    type(0, "many");
    await vi.advanceTimersByTimeAsync(500);
    expect(check).toHaveBeenCalledWith({ limit: "many" });
    expect(made.wrong).toEqual(["limit"]);
    const [input] = [control(0)];
    expect(input.getAttribute("aria-invalid")).toBe("true");
    const about = (input.getAttribute("aria-describedby") ?? "").split(" ");
    expect(about.map((id) => document.getElementById(id)?.textContent)).toContain("It is no number.");
  });

  it("asks for what a run cannot do without", () => {
    const { made, type } = shown({ text: "", required: true });
    expect(made.requireAll()).toBe(false);
    expect(made.wrong).toEqual(["limit"]);
    type(0, "3");
    expect(made.requireAll()).toBe(true);
  });

  it("keeps what was typed when the draft is shown again", () => {
    const { made, control, type } = shown({});
    type(0, "7");
    made.show([{ ...plain, text: "5" }]);
    expect(control(0).value).toBe("7");
  });
});
