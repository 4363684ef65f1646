/** When a deployment runs by itself: chosen, typed, and told in words with its next fires as it is typed. */

import { Debouncer } from "@lumino/polling";
import type { FlowbookClient } from "./api";
import { Refused } from "./api";
import { element } from "./dom";
import { choice, FieldRow, line } from "./field_row";
import { PAUSE } from "./parameter_fields";
import type { PromoteRequest, SchedulePreview, StandingSchedule } from "./promoting";
import { fireText } from "./words";

type When = PromoteRequest["when"];

const PRESETS = [
  ["", "Presets…"],
  ["0 * * * *", "Hourly"],
  ["0 7 * * *", "Daily"],
  ["0 7 * * 1-5", "Weekdays"],
  ["0 7 * * 1", "Weekly"],
  ["0 7 1 * *", "Monthly"],
] as const;

const CATCHUPS = [
  ["one", "Run once"],
  ["all", "Run each"],
  ["skip", "Skip"],
] as const;

const WORDS: Record<When, string> = {
  "": "As deployed",
  demand: "On demand",
  interval: "Every",
  cron: "Cron",
};

export class WhenFields {
  readonly node = element("fieldset", { class: "flowbook-when" });

  constructor(
    private readonly client: Pick<FlowbookClient, "schedule">,
    private readonly changed: () => void,
  ) {
    this.previewing = new Debouncer(() => this.preview(), PAUSE);
    this.preset.setAttribute("aria-label", "Preset");
    this.preset.classList.add("jp-mod-styled");
    this.preset.addEventListener("change", () => this.pickPreset());
    this.node.append(
      element("legend", {}, "When"),
      this.choices,
      this.interval.node,
      this.cron.node,
      this.zone.node,
      zones("flowbook-zones"),
      this.told,
      this.catchup.node,
    );
    this.node.addEventListener("input", () => {
      this.isTouched = true;
      this.settle();
    });
    this.show([]);
  }

  /** Show what stands, unless a person has typed already. */
  show(standing: StandingSchedule[]): void {
    if (this.isTouched) {
      return;
    }
    const [only] = standing.length === 1 ? standing : [];
    const stays = standing.length > 0 && !only?.kind;
    this.standing = stays ? standing.map(({ words, timezone }) => `${words}, ${timezone}`).join("; ") : "";
    const kinds: When[] = stays ? ["", "demand", "interval", "cron"] : ["demand", "interval", "cron"];
    const chosen: When = stays ? "" : (only?.kind ?? "demand");
    this.choices.replaceChildren(...kinds.map((kind) => radio(kind, kind === chosen)));
    if (only?.kind) {
      this[only.kind].control.value = only.text;
      this.zone.control.value = only.timezone;
      this.catchup.control.value = only.catchup;
    }
    this.settle();
  }

  get request(): Pick<PromoteRequest, "when" | "text" | "timezone" | "catchup"> {
    const when = this.when;
    if (when === "" || when === "demand") {
      return { when, text: "", timezone: "", catchup: "" };
    }
    const [text, timezone] = [this[when], this.zone].map((row) => row.control.value.trim());
    return { when, text, timezone, catchup: this.catchup.control.value };
  }

  /** Whether what is typed is no schedule. */
  get isWrong(): boolean {
    return this.rows.some((row) => !row.node.hidden && row.problem !== "");
  }

  /** Say what is wrong with a field; false if there is none of this name. */
  refuse(field: string, sentence: string): boolean {
    const row = { cron: this.cron, interval: this.interval, timezone: this.zone, catchup: this.catchup }[
      field
    ];
    if (row) {
      row.problem = sentence;
      row.control.focus();
    }
    return row !== undefined;
  }

  dispose(): void {
    this.previewing.dispose();
  }

  private get when(): When {
    return (this.choices.querySelector<HTMLInputElement>("input:checked")?.value ?? "demand") as When;
  }

  private pickPreset(): void {
    if (this.preset.value) {
      this.cron.control.value = this.preset.value;
      this.preset.value = "";
      this.settle();
    }
  }

  /** Show the fields of what is chosen, and ask what it means. */
  private settle(): void {
    const { when } = this;
    const isTyped = when === "cron" || when === "interval";
    this.cron.node.hidden = when !== "cron";
    this.interval.node.hidden = when !== "interval";
    this.zone.node.hidden = this.catchup.node.hidden = !isTyped;
    if (isTyped) {
      void this.previewing.invoke();
    } else {
      this.told.replaceChildren(this.standing && when === "" ? `${this.standing}.` : "");
    }
    this.changed();
  }

  private async preview(): Promise<void> {
    const { when, text, timezone } = this.request;
    if (when !== "cron" && when !== "interval") {
      return;
    }
    const isCurrent = () => {
      const now = this.request;
      return now.when === when && now.text === text && now.timezone === timezone;
    };
    try {
      const found = await this.client.schedule(when, text, timezone);
      if (isCurrent()) {
        this.tell(found, timezone);
      }
    } catch (error) {
      if (isCurrent()) {
        this.clear();
        const field = error instanceof Refused ? error.field : null;
        (field === "timezone" ? this.zone : this[when]).problem = (error as Error).message;
      }
    }
    this.changed();
  }

  private tell(found: SchedulePreview, zone: string): void {
    this.clear();
    const now = new Date();
    const items = found.fires.map(({ at, shift }) => {
      const item = element("li", {}, fireText(new Date(at), zone, now));
      if (shift) {
        const hours = Math.abs(shift) / 3600;
        item.append(element("strong", {}, ` clocks go ${shift > 0 ? "forward" : "back"} ${hours} h`));
      }
      return item;
    });
    const caveats = found.caveats.map((caveat) => element("p", {}, caveat));
    this.told.replaceChildren(
      element("p", {}, element("strong", {}, found.words), ". Next:"),
      element("ol", { "aria-label": "Next runs" }, ...items),
      ...caveats,
    );
  }

  private clear(): void {
    this.told.replaceChildren();
    for (const row of this.rows) {
      row.problem = "";
    }
  }

  private isTouched = false;
  private standing = "";
  private readonly previewing: Debouncer;
  private readonly choices = element("div", {
    class: "flowbook-choices",
    role: "radiogroup",
    "aria-label": "When",
  });
  private readonly preset = choice(PRESETS, "");
  private readonly interval = new FieldRow("Interval", line("15m"), "15m, 4h, 1h30m, 1d");
  private readonly cron = new FieldRow(
    "Cron line",
    line("0 7 * * 1-5"),
    "minute, hour, day, month, weekday",
    this.preset,
  );
  private readonly zone = new FieldRow(
    "Zone",
    line(Intl.DateTimeFormat().resolvedOptions().timeZone, { list: "flowbook-zones" }),
  );
  private readonly catchup = new FieldRow("If missed", choice(CATCHUPS, "one"), "while no worker was there");
  private readonly rows = [this.interval, this.cron, this.zone, this.catchup];
  private readonly told = element("div", {
    class: "flowbook-told",
    role: "status",
    "aria-label": "Schedule",
  });
}

function radio(kind: When, isChosen: boolean): HTMLElement {
  const input = element("input", { type: "radio", name: "flowbook-when", value: kind });
  input.checked = isChosen;
  return element("label", {}, input, ` ${WORDS[kind]}`);
}

function zones(id: string): HTMLElement {
  const names = ["UTC", ...Intl.supportedValuesOf("timeZone")];
  return element("datalist", { id }, ...names.map((value) => element("option", { value })));
}
