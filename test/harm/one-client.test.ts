/**
 * One client does what it can to a running zerohop, in many ways, one after the other. Beside it others ask and are
 * answered as in peace, and the process stays within its memory.
 */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { after, before, describe, test } from 'node:test';
import { start } from '../real/commands.js';
import { type LoopbackZerohop, question, startOnLoopback } from '../real/loopback.js';
import { framed, freePort, type Place } from '../real/packets.js';
import { goodAnswer, type StandIn, startStandIn } from '../real/stand-in.js';
import { type Attack, attackCommand } from './attacker.js';
import { type Holding, holdingCommand } from './http-fixture.js';
import { assertUnharmed, beforeOthers, comeFirst, lastInLine } from './victim.js';

type Port = 'dns' | 'health' | 'metrics';
type Attacks = Readonly<Record<string, readonly [Port, Omit<Attack, 'address' | 'port'>]>>;
type Scrapes = Readonly<Record<string, Omit<Holding, 'address' | 'port'>>>;

const base64 = (bytes: Uint8Array | string): string => Buffer.from(bytes).toString('base64');
const get = (path: string): string => `GET ${path} HTTP/1.1\r\nHost: x\r\n\r\n`;
const hit = base64(framed(question(1, 'good', 1)));
/** Answered after a second: what waits for it must not add up. */
const slow = question(1, 'slow000000', 1);
const padded = base64(framed(Buffer.concat([slow, Buffer.alloc(60_000)])));
const nearlyTooLong = base64(framed(Buffer.concat([slow, Buffer.alloc(4_000)])));

const attacks: Attacks = {
  'a cached name pipelined on 1 connection': ['dns', { kind: 'pipelines', connections: 1, text: hit }],
  'a cached name pipelined on 16 connections': ['dns', { kind: 'pipelines', connections: 16, text: hit }],
  'a cached name pipelined on 128 connections': ['dns', { kind: 'pipelines', connections: 128, text: hit }],
  'a cached name pipelined on 512 connections': ['dns', { kind: 'pipelines', connections: 512, text: hit }],
  'answers that are not read': ['dns', { kind: 'deaf', connections: 256, text: hit }],
  'slow names with 60 kB behind the question': ['dns', { kind: 'pipelines', connections: 64, text: padded }],
  'slow names with 4 kB behind the question': ['dns', { kind: 'pipelines', connections: 64, text: nearlyTooLong }],
  'connections for DNS opened and reset': ['dns', { kind: 'opens', connections: 1, text: '' }],
  '1,100 connections for DNS, and the oldest reset': ['dns', { kind: 'opens', connections: 1_100, text: hit }],
  'connections for /health opened and reset': ['health', { kind: 'opens', connections: 1, text: '' }],
  'connections for /health that ask and are reset': [
    'health',
    { kind: 'opens', connections: 300, text: base64(get('/health')) },
  ],
  'connections for /metrics that ask and are reset': [
    'metrics',
    { kind: 'opens', connections: 300, text: base64(get('/metrics')) },
  ],
};

const scrape = { first: get('/metrics'), again: get('/metrics'), everyMs: 2, reads: true };
const ahead = { first: get('/metrics').repeat(16), again: get('/metrics').repeat(16), everyMs: 20, reads: true };
/** Eight connections are what one pod may have, the others are for programs of the node. */
const scrapes: Scrapes = {
  'on one connection': { ...scrape, connections: 1 },
  'on one connection, sent ahead': { ...ahead, everyMs: 2, connections: 1 },
  'on 8 connections': { ...scrape, everyMs: 5, connections: 8 },
  'on 8 connections, sent ahead': { ...ahead, connections: 8 },
  'on 8 connections that read nothing': { ...scrape, everyMs: 20, reads: false, connections: 8 },
  'on 63 connections': { ...scrape, everyMs: 5, connections: 63 },
};

/** Half of what the manifests give it. */
const memoryMbMax = 256;

describe('one client, and beside it another one and a prober', () => {
  let upstream: StandIn;
  let zerohop: LoopbackZerohop;
  const ports: Partial<Record<Port, Place>> = {};

  before(async () => {
    comeFirst();
    upstream = await startStandIn(async (query) => {
      if (query.includes('slow')) await new Promise((resolve) => setTimeout(resolve, 1_000));
      return [goodAnswer(query)];
    });
    const health = { address: '127.0.0.1', port: await freePort() };
    const lines = [`health 127.0.0.1:${health.port}`, 'cache 30', 'prometheus'];
    lines.push(`forward . 127.0.0.1:${upstream.port} {\n force_tcp\n }`);
    zerohop = await startOnLoopback(lines.join('\n'), question(1, 'good', 1), {}, beforeOthers);
    Object.assign(ports, { dns: zerohop.place, health, metrics: zerohop.metrics });
  });
  after(async () => {
    await zerohop?.stop();
    upstream?.close();
  });

  const target = () => ({ place: zerohop.place, health: ports.health! });

  function assertWithinMemory(): void {
    const status = readFileSync(`/proc/${zerohop.program.pid}/status`, 'utf8');
    const mostMb = Number(/VmHWM:\s+(\d+)/.exec(status)?.[1]) / 1024;
    assert.ok(mostMb <= memoryMbMax, `${mostMb.toFixed(0)} MB`);
  }

  for (const [name, [port, attack]] of Object.entries(attacks)) {
    test(name, async (t) => {
      await assertUnharmed(t, target(), () => start([...lastInLine, ...attackCommand({ ...ports[port]!, ...attack })]));
      assertWithinMemory();
    });
  }
  for (const [name, way] of Object.entries(scrapes)) {
    test(`/metrics in a loop ${name}`, async (t) => {
      await assertUnharmed(t, target(), () => start([...lastInLine, ...holdingCommand({ ...ports.metrics!, ...way })]));
      assertWithinMemory();
    });
  }
});
