/** `35 ms`, `2.0 s`, `1 m 07 s`, `2 h 05 m`, `3 d 04 h`: the same as in the kernel's texts. */
export function durationText(seconds: number): string {
  if (seconds < 0.0995) return `${Math.round(seconds * 1000)} ms`;
  if (seconds < 59.95) return `${seconds.toFixed(1)} s`;
  const whole = Math.round(seconds);
  if (whole < 3600) return `${Math.floor(whole / 60)} m ${two(whole % 60)} s`;
  if (whole < 86400) return `${Math.floor(whole / 3600)} h ${two(Math.floor((whole % 3600) / 60))} m`;
  return `${Math.floor(whole / 86400)} d ${two(Math.floor((whole % 86400) / 3600))} h`;
}

/** `0:07`, `12:34`, `1:02:03`: a clock that counts up. */
export function clockText(seconds: number): string {
  const whole = Math.floor(Math.max(0, seconds));
  const [h, m, s] = [Math.floor(whole / 3600), Math.floor((whole % 3600) / 60), whole % 60];
  return h ? `${h}:${two(m)}:${two(s)}` : `${m}:${two(s)}`;
}

/** Seconds from start to end, or to now; undefined before the start. */
export function elapsed(part: { started?: number; ended?: number }, now: number): number | undefined {
  return part.started === undefined ? undefined : Math.max(0, (part.ended ?? now) - part.started);
}

function two(n: number): string {
  return String(n).padStart(2, "0");
}
