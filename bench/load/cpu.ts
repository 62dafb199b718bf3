/**
 * How much CPU a process has used, as the kernel counts it: /proc/PID/stat of the process, which covers its threads,
 * dead ones too, and of all its descendants. That counts in hundredths of a second; where every thread of before is
 * still there, their schedstat says the sum to the nanosecond. Also how busy a core was, to tell whether a neighbour
 * was on it.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

export interface CpuTime {
  readonly userMicroseconds: number;
  readonly systemMicroseconds: number;
  /** Both together by schedstat, for each thread of the process and its descendants by its id; null when unknown. */
  readonly threads: ReadonlyMap<number, number> | null;
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
  const threads = new Map<number, number>();
  let isKnown = true;
  const left = [own];
  for (let stat = left.pop(); stat !== undefined; stat = left.pop()) {
    user += stat.userTicks;
    system += stat.systemTicks;
    isKnown = addThreads(threads, join(proc, String(stat.pid), 'task')) && isKnown;
    left.push(...(children.get(stat.pid) ?? []));
  }
  const ofTicks = (ticks: number): number => ticks * microsecondsPerTick;
  return { userMicroseconds: ofTicks(user), systemMicroseconds: ofTicks(system), threads: isKnown ? threads : null };
}

/** Adds the threads of a process with what they have used; false when one is gone, or the kernel does not tell. */
function addThreads(threads: Map<number, number>, folder: string): boolean {
  try {
    for (const id of readdirSync(folder)) {
      const nanoseconds = Number.parseInt(readFileSync(join(folder, id, 'schedstat'), 'utf8'), 10);
      threads.set(Number(id), nanoseconds / 1000);
    }
    return true;
  } catch {
    return false;
  }
}

export interface CpuUse {
  readonly userMicroseconds: number;
  readonly systemMicroseconds: number;
  readonly totalMicroseconds: number;
}

/**
 * What was used between two readings. User and system are the total in the proportion of their ticks. The threads'
 * sum counts, unless one of them is gone and took what it had used with it.
 */
export function cpuBetween(before: CpuTime, after: CpuTime): CpuUse {
  const user = after.userMicroseconds - before.userMicroseconds;
  const system = after.systemMicroseconds - before.systemMicroseconds;
  const precise = ofThreads(before.threads, after.threads);
  // What a child used that was born and has died in between is in the ticks alone, which are rounded four times.
  const isWhole = precise !== null && precise >= user + system - 4 * microsecondsPerTick;
  const total = isWhole ? precise : user + system;
  const userShare = user + system === 0 ? 0 : user / (user + system);
  return {
    userMicroseconds: total * userShare,
    systemMicroseconds: total * (1 - userShare),
    totalMicroseconds: total,
  };
}

/** Null when a thread of before has ended, or nothing is known of them. */
function ofThreads(before: CpuTime['threads'], after: CpuTime['threads']): number | null {
  if (before === null || after === null) return null;
  let total = 0;
  for (const [id, microseconds] of after) total += microseconds - (before.get(id) ?? 0);
  return [...before.keys()].every((id) => after.has(id)) ? total : null;
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
