/**
 * How much CPU a process has used, as the kernel counts it: /proc/PID/stat of the process, which covers its threads,
 * dead ones too, and of all its descendants. Also how busy a core was, to tell whether a neighbour was on it.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

export interface CpuTime {
  readonly userMicroseconds: number;
  readonly systemMicroseconds: number;
}

/** USER_HZ: /proc counts in hundredths of a second on every platform that Node.js runs on. */
const microsecondsPerTick = 10_000;

/** User and system time of the process, its threads and its children. Throws when there is no such process. */
export function cpuOf(pid: number, proc = '/proc'): CpuTime {
  const own = readStat(join(proc, String(pid), 'stat'));
  if (own === null) throw new Error(`there is no process ${pid} any more`);
  const children = childrenByParent(proc);
  let user = 0;
  let system = 0;
  const left = [own];
  for (let stat = left.pop(); stat !== undefined; stat = left.pop()) {
    user += stat.userTicks;
    system += stat.systemTicks;
    left.push(...(children.get(stat.pid) ?? []));
  }
  return { userMicroseconds: user * microsecondsPerTick, systemMicroseconds: system * microsecondsPerTick };
}

/** What was used between two readings. */
export function cpuBetween(before: CpuTime, after: CpuTime): CpuTime {
  return {
    userMicroseconds: after.userMicroseconds - before.userMicroseconds,
    systemMicroseconds: after.systemMicroseconds - before.systemMicroseconds,
  };
}

export function totalMicroseconds({ userMicroseconds, systemMicroseconds }: CpuTime): number {
  return userMicroseconds + systemMicroseconds;
}

/** How long a core has been at work since the machine started, for whomever, the hypervisor's theft included. */
export function coreBusyMicroseconds(core: number, proc = '/proc'): number {
  const line = readFileSync(join(proc, 'stat'), 'utf8')
    .split('\n')
    .find((text) => text.startsWith(`cpu${core} `));
  if (line === undefined) throw new Error(`there is no core ${core}`);
  const [user, nice, system, , , irq, softirq, steal] = line.split(' ').slice(1).map(Number);
  return (user + nice + system + irq + softirq + steal) * microsecondsPerTick;
}

interface Stat {
  readonly pid: number;
  readonly parent: number;
  /** Its own and those of children that it has waited for. */
  readonly userTicks: number;
  readonly systemTicks: number;
}

function childrenByParent(proc: string): Map<number, Stat[]> {
  const children = new Map<number, Stat[]>();
  for (const name of readdirSync(proc)) {
    const stat = /^\d+$/.test(name) ? readStat(join(proc, name, 'stat')) : null;
    if (stat !== null) children.set(stat.parent, [...(children.get(stat.parent) ?? []), stat]);
  }
  return children;
}

/** Null when the process is gone. */
function readStat(path: string): Stat | null {
  let text: string;
  try {
    text = readFileSync(path, 'utf8');
  } catch {
    return null;
  }
  // The name stands in parentheses and may contain anything, parentheses too.
  const fields = text.slice(text.lastIndexOf(')') + 2).split(' ');
  const [user, system, childrenUser, childrenSystem] = fields.slice(11, 15).map(Number);
  return {
    pid: Number.parseInt(text, 10),
    parent: Number(fields[1]),
    userTicks: user + childrenUser,
    systemTicks: system + childrenSystem,
  };
}
