/**
 * Several instances of zerohop that share one endpoint and one hand-over socket, as two DaemonSets on a node do, with
 * a stand-in for the cluster DNS and dnsperf as the pods. On 127.0.0.1 or wherever a command line leads; no root.
 */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { eventually, type Running, start } from './commands.js';
import { freePort, type Place } from './packets.js';
import { goodAnswer, type StandIn, startStandIn } from './stand-in.js';
import { entry, logLines } from './zerohop.js';

/** Names that are cached once they were asked for. */
export const hotNames = 1_000;

export interface Spot {
  readonly place: Place;
  readonly folder: string;
  readonly upstream: StandIn;
  readonly corefile: string;
  readonly handoverPath: string;
  readonly controlPath: string;
  /** Where /metrics is. */
  readonly watchPort: number;
  /** Starts an instance; it has the packets when this returns, unless it is told not to wait. */
  start(flags?: readonly string[], environment?: NodeJS.ProcessEnv): Promise<Instance>;
  /** The same without waiting for anything. */
  begin(flags?: readonly string[], environment?: NodeJS.ProcessEnv): Instance;
  /** `lines` go into the one server block, besides the forward. */
  writeCorefile(lines: string): void;
  /** Asks at a steady rate for so many seconds. */
  load(wish: LoadWish): Promise<LoadReport>;
  remove(): Promise<void>;
}

export interface Instance {
  readonly program: Running;
  said(text: string): boolean;
  /** How many lines of its log say this. */
  count(text: string): number;
  /** Ends it with SIGTERM; how long that took, and its exit status. */
  stop(): Promise<{ readonly status: number; readonly tookMs: number }>;
  kill(): Promise<void>;
}

export interface LoadWish {
  readonly perSecond: number;
  readonly seconds: number;
  /** `hits` are the hot names again and again, `misses` names that nobody has asked for. */
  readonly names: 'hits' | 'misses';
}

export interface LoadReport {
  readonly sent: number;
  readonly lost: number;
  readonly rcodes: ReadonlyMap<string, number>;
  readonly averageMs: number;
  readonly maxMs: number;
}

let loads = 0;

export interface SpotWish {
  /** Where pods ask. */
  readonly address: string;
  /** What a client's command line begins with, to be run in another network namespace. */
  readonly from: readonly string[];
  /** What the cluster DNS answers; `goodAnswer` unless said. */
  readonly answer?: (query: Buffer) => Buffer;
}

export const onLoopback: SpotWish = { address: '127.0.0.1', from: [] };

export async function newSpot({ address, from, answer = goodAnswer }: SpotWish = onLoopback): Promise<Spot> {
  const folder = mkdtempSync(join(tmpdir(), 'zerohop-several-'));
  const upstream = await startStandIn((query) => [answer(query)]);
  const place = { address, port: await freePort() };
  const [watchPort, healthPort, readyPort] = [await freePort(), await freePort(), await freePort()];
  const corefile = join(folder, 'Corefile');
  const handoverPath = join(folder, 'handover.sock');
  const controlPath = join(folder, 'control.sock');
  const instances = new Set<Instance>();
  const writeCorefile = (text: string): void => {
    const watched = `health 127.0.0.1:${healthPort}\n    prometheus 127.0.0.1:${watchPort}\n    ready 127.0.0.1:${readyPort}`;
    const forward = `forward . 127.0.0.1:${upstream.port} {\n        force_tcp\n    }`;
    writeFileSync(
      corefile,
      `.:${place.port} {\n    bind ${address}\n    errors\n    ${watched}\n    ${text}\n    ${forward}\n}\n`,
    );
  };
  writeCorefile('cache 30');
  const hot = join(folder, 'hot');
  writeFileSync(hot, Array.from({ length: hotNames }, (_, index) => `h${index}.corpus.test A\n`).join(''));

  function begin(flags: readonly string[] = [], environment: NodeJS.ProcessEnv = {}): Instance {
    const own = ['-localip', address, '-setupinterface=false', '-setupiptables=false', '-metrics-listen-address='];
    const paths = ['-handover', handoverPath, '-control', controlPath];
    const program = start([...entry, '-conf', corefile, ...paths, ...own, ...flags], environment);
    const instance: Instance = {
      program,
      said: (text) => logLines(program.stdout()).some(({ msg }) => msg.includes(text)),
      count: (text) => logLines(program.stdout()).filter((line) => JSON.stringify(line).includes(text)).length,
      async stop() {
        const startedMs = performance.now();
        const { status } = await program.stop();
        instances.delete(instance);
        return { status, tookMs: performance.now() - startedMs };
      },
      async kill() {
        program.signal('SIGKILL');
        await program.finished;
        instances.delete(instance);
      },
    };
    instances.add(instance);
    return instance;
  }

  return {
    ...{ place, folder, upstream, corefile, handoverPath, controlPath, watchPort, writeCorefile, begin },
    async start(flags, environment) {
      const instance = begin(flags, environment);
      await eventually('it serves', async () => {
        const ended = await Promise.race([instance.program.finished, Promise.resolve(undefined)]);
        if (ended !== undefined) throw new Error(`it ended with ${ended.status}: ${ended.stderr}${ended.stdout}`);
        return instance.said('serves on') ? true : undefined;
      });
      return instance;
    },
    async load({ perSecond, seconds, names }) {
      loads += 1;
      const file = names === 'hits' ? hot : join(folder, `misses-${loads}`);
      const count = perSecond * seconds;
      if (names === 'misses') {
        const lines = Array.from({ length: count }, (_, index) => `m${loads}-${index}.corpus.test A\n`);
        writeFileSync(file, lines.join(''));
      }
      const times = names === 'misses' ? ['-n', '1'] : ['-l', String(seconds)];
      const how = ['-Q', String(perSecond), '-q', '10000', '-c', '8', '-t', '3'];
      const program = start([
        ...from,
        'dnsperf',
        '-s',
        address,
        '-p',
        String(place.port),
        '-d',
        file,
        ...times,
        ...how,
      ]);
      const { stdout, stderr } = await program.finished;
      return loadReport(stdout + stderr);
    },
    async remove() {
      for (const instance of [...instances]) await instance.stop();
      upstream.close();
      rmSync(folder, { recursive: true });
    },
  };
}

function loadReport(text: string): LoadReport {
  const number = (pattern: RegExp): number => {
    const found = pattern.exec(text)?.[1];
    if (found === undefined) throw new Error(`dnsperf did not say ${pattern}: ${text.slice(-2000)}`);
    return Number(found);
  };
  const rcodes = /Response codes: +(.*)/.exec(text)?.[1] ?? '';
  return {
    sent: number(/Queries sent: +(\d+)/),
    lost: number(/Queries lost: +(\d+)/),
    rcodes: new Map([...rcodes.matchAll(/([A-Z]+) (\d+)/g)].map(([, rcode, count]) => [rcode, Number(count)])),
    averageMs: number(/Average Latency \(s\): +([\d.]+)/) * 1000,
    maxMs: number(/Average Latency .*max ([\d.]+)/) * 1000,
  };
}

/** Anonymous resident memory of a process, in bytes. */
export function anonymousBytes(pid: number): number {
  return Number(/RssAnon:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1] ?? 0) * 1024;
}
