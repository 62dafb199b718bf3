/**
 * Times as a loaded machine shows them. What is measured here shares its cores with load generators and other tests;
 * on a node the kubelet gives the DNS its share before others. So programs whose answers are timed come first in line,
 * and a time counts as too long when it was too long in each of three rounds: other work makes any time longer, and
 * none shorter.
 */
import { spawnSync } from 'node:child_process';
import type { Node } from './cluster-node.js';

/**
 * The start of a command line whose program comes before others: in real time where that is allowed, as niceness
 * counts within a session alone where the kernel groups processes by it (sched_autogroup).
 */
export const firstInLine: readonly string[] = ((): readonly string[] => {
  const realTime = ['chrt', '--rr', '1'];
  const [program, ...rest] = [...realTime, 'true'];
  return spawnSync(program, rest).status === 0 ? realTime : ['nice', '-n', '-15'];
})();

/** The same node, where all that is started comes first in line. */
export function firstIn(node: Node): Node {
  return { ...node, command: (...command) => node.command(...firstInLine, ...command) };
}

const roundsMost = 3;

/** Measures until it is good, in three rounds at the most; gives the last. `round` counts from 0. */
export async function untilGood<Report>(
  measure: (round: number) => Promise<Report>,
  isGood: (report: Report) => boolean,
): Promise<Report> {
  for (let round = 0; ; round++) {
    const report = await measure(round);
    if (isGood(report) || round === roundsMost - 1) return report;
  }
}
