import type { Answer, Question } from "./types";

/** Seconds for the kernel to answer. While a cell runs it does so only where widgets are heard in a subshell. */
const PATIENCE = 4;

/** Questions to the kernel. Each has an answer in time, or none: nothing waits forever. */
export class Kernel {
  private readonly waiting = new Map<number, (answer: Answer | undefined) => void>();
  private asked = 0;

  constructor(private readonly send: (message: object) => void) {}

  /** The answer; undefined when there is none within `patience` seconds. */
  ask(question: Question, patience = PATIENCE): Promise<Answer | undefined> {
    const id = ++this.asked;
    return new Promise((resolve) => {
      const timer = setTimeout(() => this.resolve(id, undefined), patience * 1000);
      this.waiting.set(id, (answer) => {
        clearTimeout(timer);
        resolve(answer);
      });
      this.send({ type: "ask", id, ...question });
    });
  }

  /** Take a message of the kernel; a late answer is nobody's. */
  resolve(id: number, answer: Answer | undefined): void {
    this.waiting.get(id)?.(answer);
    this.waiting.delete(id);
  }
}
