/**
 * The program under test, as an operator runs it on a node: the built entry, a Corefile, the flags; nothing of its
 * inside. It counts as started when /ready says so.
 */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { metricsAgeMs } from '../../src/limits.js';
import { builtEntry, commandOf } from '../corpus/repository.js';
import { clusterAddress, localAddress, type Node } from './cluster-node.js';
import { eventually, type Finished, type Running, run, start } from './commands.js';

export interface Zerohop {
  readonly pid: number;
  readonly corefile: string;
  /** From the start of the process to /ready, as seen from outside. */
  readonly readyAfterMs: number;
  /** The log lines so far. */
  log(): LogLine[];
  /** Waits for a log line whose message matches. */
  logged(message: RegExp): Promise<LogLine>;
  signal(name: NodeJS.Signals): void;
  readonly finished: Promise<Finished>;
  /** Ends it, and fails the test when that was not clean. */
  stop(): Promise<void>;
}

/** One JSON line of the log. */
export interface LogLine {
  readonly level: number | string;
  readonly msg: string;
  readonly [field: string]: unknown;
}

/** By which path the programs under test receive UDP: `npm run test:portable` asks for the other one. */
export const ioPath = process.env['ZEROHOP_IO'] === 'portable' ? 'portable' : 'threads';

export const entry: readonly string[] = commandOf(builtEntry);

/** Flags that leave the node's interface, rules and other instances alone: the test made the node. */
export const quietFlags: readonly string[] = [
  '-localip',
  localAddress,
  '-setupinterface=false',
  '-setupiptables=false',
  '-handover=',
  '-control=',
];

/** Writes a Corefile into the node's folder and starts zerohop with it; ready when this returns. */
export async function startZerohop(node: Node, corefile: string, flags: readonly string[] = []): Promise<Zerohop> {
  const path = join(node.folder, 'Corefile');
  writeFileSync(path, corefile);
  const startedMs = performance.now();
  const program = start(node.command(...entry, '-conf', path, ...quietFlags, ...flags));
  try {
    await eventually(
      'zerohop is ready',
      async () => {
        await failIfEnded(program);
        // Looking at its log costs nothing, and another instance may answer in its place.
        if (!program.stdout().includes(' serves on ')) return undefined;
        return (await httpStatus(node, `http://${localAddress}:8181/ready`)) === 200 ? true : undefined;
      },
      20_000,
    );
  } catch (error) {
    await program.stop();
    throw new Error(`${(error as Error).message}\n${program.stderr()}${program.stdout()}`);
  }
  return zerohopOf(program, path, performance.now() - startedMs);
}

function zerohopOf(program: Running, corefile: string, readyAfterMs: number): Zerohop {
  const log = (): LogLine[] => logLines(program.stdout());
  return {
    pid: program.pid,
    corefile,
    readyAfterMs,
    log,
    logged: (message) => eventually(`a log line like ${message}`, () => log().find((line) => message.test(line.msg))),
    signal: (name) => program.signal(name),
    finished: program.finished,
    async stop() {
      const { status, stderr, stdout } = await program.stop();
      if (status !== 0) throw new Error(`zerohop ended with ${status}: ${stderr}${stdout}`);
    },
  };
}

/** Runs zerohop to its end, as after a bad configuration. */
export function runZerohop(node: Node, ...flags: string[]): Promise<Finished> {
  return run(node.command(...entry, ...flags));
}

/** Complete lines of a log; throws when one is not JSON. */
export function logLines(text: string): LogLine[] {
  const complete = text.slice(0, text.lastIndexOf('\n') + 1);
  return complete
    .split('\n')
    .filter(Boolean)
    .map((line) => JSON.parse(line) as LogLine);
}

async function failIfEnded(program: Running): Promise<void> {
  const ended = await Promise.race([program.finished, Promise.resolve(undefined)]);
  if (ended === undefined) return;
  throw new Error(`zerohop ended with ${ended.status} before it was ready: ${ended.stderr}${ended.stdout}`);
}

/** The HTTP status of a page asked for inside the node; 0 when nobody answers. */
export async function httpStatus(node: Node, url: string): Promise<number> {
  const result = await run(node.command('curl', '-s', '-m', '5', '-o', '/dev/null', '-w', '%{http_code}', url));
  return Number(result.stdout);
}

/** A page asked for inside the node. */
export async function httpText(node: Node, url: string): Promise<string> {
  const result = await run(node.command('curl', '-s', '-S', '-f', '-m', '5', url));
  if (result.status !== 0) throw new Error(`${url}: ${result.stderr}`);
  return result.stdout;
}

/** A sample of /metrics as it is now: what was asked before may be given for a while. NaN when the page does not have it. `series` is `name{labels}` or the start of it. */
export async function metric(node: Node, series: string): Promise<number> {
  await pause(metricsAgeMs);
  const page = await httpText(node, `http://${localAddress}:9253/metrics`);
  const line = page.split('\n').find((text) => text.startsWith(series));
  return line === undefined ? Number.NaN : Number(line.slice(line.lastIndexOf(' ') + 1));
}

export interface CorefileWishes {
  /** Lines for every block. */
  readonly everywhere?: string;
  /** How `.` is forwarded: as the client asked, which is what that manifest says, or over TCP too. */
  readonly outside?: 'as asked' | 'tcp';
  /** Arguments of `reload`. */
  readonly reload?: string;
}

/**
 * The Corefile that NodeLocal DNSCache's manifest ships, with health, ready and metrics where a test finds them;
 * the real Knot stands for the cluster DNS and for the world outside.
 */
export function nodeLocalCorefile({
  everywhere = '',
  outside = 'as asked',
  reload = '60s 5s',
}: CorefileWishes): string {
  const block = (zone: string, lines: string): string => `${zone}:53 {
    errors
    ${lines}
    reload ${reload}
    loop
    bind ${localAddress}
    prometheus :9253
    ${everywhere}
}
`;
  const overTcp = `forward . ${clusterAddress} {\n        force_tcp\n    }`;
  const asAsked = `forward . ${clusterAddress}`;
  const cluster = 'cache {\n        success 9984 30\n        denial 9984 5\n    }';
  const watched = `health ${localAddress}:8080\n    ready ${localAddress}:8181`;
  return [
    block('cluster.local', `${cluster}\n    ${overTcp}\n    ${watched}`),
    block('in-addr.arpa', `cache 30\n    ${overTcp}`),
    block('ip6.arpa', `cache 30\n    ${overTcp}`),
    block('.', `cache 30\n    ${outside === 'tcp' ? overTcp : asAsked}`),
  ].join('');
}
