/**
 * dnsperf as a stream of misses: distinct names at a steady rate, and what became of each of them.
 */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { localAddress, type Node } from './cluster-node.js';
import { output } from './commands.js';

export interface MissesReport {
  readonly sent: number;
  /** Without an answer within dnsperf's five seconds. */
  readonly lost: number;
  readonly rcodes: ReadonlyMap<string, number>;
  /** Milliseconds, of the answered. */
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly maxMs: number;
}

let runs = 0;

/**
 * Asks `perSecond` names of `*.wild.svc.cluster.local.` for `seconds`, none of them twice, as the client `from`. They have the
 * form of Services, which workers may ask about by themselves.
 */
export async function misses(
  node: Node,
  perSecond: number,
  seconds: number,
  from = localAddress,
): Promise<MissesReport> {
  runs += 1;
  const count = perSecond * seconds;
  const names = join(node.folder, `names-${runs}`);
  const label = `r${runs}`;
  const lines = Array.from({ length: count }, (_, index) => `${label}-${index}.wild.svc.cluster.local A\n`);
  writeFileSync(names, lines.join(''));
  const options = ['-d', names, '-n', '1', '-Q', String(perSecond), '-q', '5000', '-c', '4', '-a', from, '-v'];
  const text = await output(node.command('dnsperf', '-s', localAddress, ...options), (seconds + 20) * 1000);
  return report(text);
}

function report(text: string): MissesReport {
  const durations = [...text.matchAll(/^> [A-Z]+ \S+ A (\d+\.\d+)$/gm)].map(([, seconds]) => Number(seconds) * 1000);
  durations.sort((one, other) => one - other);
  const at = (share: number): number => durations[Math.min(durations.length - 1, Math.floor(durations.length * share))];
  const rcodes = /Response codes: +(.*)/.exec(text)?.[1] ?? '';
  return {
    sent: number(text, /Queries sent: +(\d+)/),
    lost: number(text, /Queries lost: +(\d+)/),
    rcodes: new Map([...rcodes.matchAll(/([A-Z]+) (\d+)/g)].map(([, rcode, count]) => [rcode, Number(count)])),
    p50Ms: at(0.5),
    p99Ms: at(0.99),
    maxMs: at(1),
  };
}

function number(text: string, pattern: RegExp): number {
  const found = pattern.exec(text)?.[1];
  if (found === undefined) throw new Error(`dnsperf did not say ${pattern}: ${text.slice(-2000)}`);
  return Number(found);
}
