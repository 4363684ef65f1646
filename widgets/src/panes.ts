import type { Sought } from "./find";
import type { Snapshot } from "./types";

/** One of the views of a run. It is brought up to date while it is shown, and when it is about to be. */
export interface Pane {
  readonly element: HTMLElement;
  /** Show what is known; `now` is the kernel's time. */
  update(snapshot: Snapshot, now: number, sought: Sought): void;
}
