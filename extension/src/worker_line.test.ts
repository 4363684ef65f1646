// @vitest-environment happy-dom
import { describe, expect, it, vi } from "vitest";
import type { Workers } from "./api";
import { WorkerLine } from "./worker_line";

const nobody: Workers = {
  workers: [],
  hosting: "auto",
  starting: false,
  deployments: 1,
  schedules: 1,
  fires: false,
  idle_pools: ["default"],
  next_fire: null,
};
const here: Workers = {
  ...nobody,
  workers: [{ name: "w", pool: "default", host: "h", busy: 0, slots: 2, heartbeat_age: 1, hosted: true }],
  fires: true,
  idle_pools: [],
};

describe("WorkerLine", () => {
  it("is a status that a reader is told of", () => {
    const line = new WorkerLine({ startWorker: vi.fn() }, vi.fn());
    line.show(here);
    expect(line.node.getAttribute("role")).toBe("status");
    expect(line.node.textContent).toBe("Worker: this server, 0 of 2 busy.");
    expect(line.node.querySelector("button")).toBeNull();
  });

  it("starts a worker once, however often it is clicked", async () => {
    const startWorker = vi.fn(async () => {});
    const started = vi.fn();
    const line = new WorkerLine({ startWorker }, started);
    line.show(nobody);
    const button = line.node.querySelector("button") as HTMLButtonElement;
    expect(line.node.textContent).toBe("No worker: schedules are not firing.Start one");
    button.click();
    button.click();
    await vi.waitFor(() => expect(started).toHaveBeenCalledOnce());
    expect(startWorker).toHaveBeenCalledOnce();
    line.show(here);
    expect(line.node.querySelector("button")).toBeNull();
  });

  it("says why it could not be started, and lets one try again", async () => {
    const line = new WorkerLine({ startWorker: () => Promise.reject(new Error("It is off.")) }, vi.fn());
    line.show(nobody);
    const button = line.node.querySelector("button") as HTMLButtonElement;
    button.click();
    await vi.waitFor(() => expect(line.node.textContent).toContain("It is off."));
    expect(button.disabled).toBe(false);
  });

  it("keeps its button, and with it the focus, as long as nothing changes", () => {
    const line = new WorkerLine({ startWorker: vi.fn() }, vi.fn());
    line.show(nobody);
    const button = line.node.querySelector("button");
    line.show({ ...nobody });
    expect(line.node.querySelector("button")).toBe(button);
  });

  it("is empty where nothing was deployed", () => {
    const line = new WorkerLine({ startWorker: vi.fn() }, vi.fn());
    line.show({ ...nobody, deployments: 0, schedules: 0, idle_pools: [] });
    expect(line.node.textContent).toBe("");
  });
});
