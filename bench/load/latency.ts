/**
 * How long answers took, from what `dnsperf -v` tells of each: `> NOERROR name A 0.000123`. A question without an
 * answer (`T`, `I`) has no latency; it is counted as lost.
 */
import { closeSync, openSync, readSync, statSync } from 'node:fs';

export interface Percentiles {
  readonly p50: number;
  readonly p99: number;
  readonly p999: number;
  readonly max: number;
}

/** The percentiles in milliseconds of a file that dnsperf has written; null when it tells of no answer. */
export function percentilesOf(path: string): Percentiles | null {
  return percentiles(latenciesIn(path, 0, statSync(path).size));
}

/** A file of minutes is larger than a string may be. */
const partBytes = 16 * 1024 * 1024;

/** The latencies in milliseconds of the answers that the file tells of between two places, in bytes. */
export function latenciesIn(path: string, from: number, to: number): number[] {
  const file = openSync(path, 'r');
  try {
    const all: number[] = [];
    const part = Buffer.allocUnsafe(Math.max(0, Math.min(partBytes, to - from)));
    let rest = '';
    for (let at = from; at < to; ) {
      const read = readSync(file, part, 0, Math.min(part.length, to - at), at);
      if (read === 0) break;
      at += read;
      const text = rest + part.toString('latin1', 0, read);
      const end = text.lastIndexOf('\n') + 1;
      rest = text.slice(end);
      for (const milliseconds of latenciesMs(text.slice(0, end))) all.push(milliseconds);
    }
    return all;
  } finally {
    closeSync(file);
  }
}

/** The latency of each answer in milliseconds. */
export function latenciesMs(text: string): number[] {
  return [...text.matchAll(/^> [A-Z]{3,} .* (\d+\.\d+)$/gm)].map(([, seconds]) => Number(seconds) * 1000);
}

/** Nearest rank: the smallest value that at least so large a share of them does not exceed. Null of nothing. */
export function percentiles(values: readonly number[]): Percentiles | null {
  if (values.length === 0) return null;
  const sorted = Float64Array.from(values).sort();
  const at = (share: number): number => sorted[Math.max(0, Math.ceil(share * sorted.length) - 1)];
  return { p50: at(0.5), p99: at(0.99), p999: at(0.999), max: at(1) };
}
