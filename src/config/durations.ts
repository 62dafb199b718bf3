/**
 * Durations in Go's notation (`60s`, `500ms`, `1h30m`), as in node-cache's flags and the Corefile. Elsewhere in the program
 * a duration is a number of milliseconds.
 */
const secondMs = 1_000;
const unitMs: Readonly<Record<string, number>> = {
  ns: 1e-6,
  us: 1e-3,
  µs: 1e-3, // U+00B5, the micro sign
  μs: 1e-3, // U+03BC, the Greek letter
  ms: 1,
  s: secondMs,
  m: 60_000,
  h: 3_600_000,
};

/** The limit of Go's time.Duration, 63 bits of nanoseconds. */
const durationMsMax = (2 ** 63 - 1) / 1e6;

/**
 * Milliseconds of `60s`, `500ms`, `1h30m`, `1.5s`; a number without a unit is seconds. Throws an Error with one sentence
 * for other text and negative durations.
 */
export function parseDuration(text: string): number {
  const written = text.startsWith('+') ? text.slice(1) : text;
  if (written.startsWith('-')) throw new Error(`"${text}" is negative; write a positive duration.`);
  if (isNumber(written)) return bounded(Number(written) * secondMs, text);
  const parts = [...written.matchAll(/(\d+\.?\d*|\.\d+)([a-zµμ]+)/gu)];
  if (parts.length === 0 || parts.map(([part]) => part).join('') !== written) {
    throw new Error(`"${text}" is not a duration; write it like 60s, 500ms or 1h30m (a bare number is seconds).`);
  }
  let sumMs = 0;
  for (const [, number, unit] of parts) {
    if (!Object.hasOwn(unitMs, unit)) {
      throw new Error(`"${text}" has the unknown unit "${unit}"; write ns, us, ms, s, m or h.`);
    }
    sumMs += Number(number) * unitMs[unit];
  }
  // Rounded to nanoseconds as in Go, so that 0.3ms is not 0.30000000000000004.
  return bounded(Math.round(sumMs * 1e6) / 1e6, text);
}

/** As Go's Duration.String: `1h30m0s`, `1.5s`, `500ms`, `0s`. Takes milliseconds, at least 0. */
export function formatDuration(ms: number): string {
  const ns = Math.round(ms * 1e6);
  if (ns === 0) return '0s';
  if (ns < 1e3) return `${ns}ns`;
  if (ns < 1e6) return `${ns / 1e3}µs`;
  if (ns < 1e9) return `${ns / 1e6}ms`;
  const hours = Math.floor(ns / 3.6e12);
  const minutes = Math.floor((ns % 3.6e12) / 6e10);
  const seconds = `${(ns % 6e10) / 1e9}s`;
  if (hours > 0) return `${hours}h${minutes}m${seconds}`;
  return minutes > 0 ? `${minutes}m${seconds}` : seconds;
}

function isNumber(text: string): boolean {
  return /^(\d+\.?\d*|\.\d+)$/.test(text);
}

function bounded(ms: number, text: string): number {
  if (ms > durationMsMax) throw new Error(`"${text}" is longer than 292 years; write a shorter duration.`);
  return ms;
}
