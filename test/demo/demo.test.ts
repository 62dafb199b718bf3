import assert from 'node:assert/strict';
import { test } from 'node:test';
import { stripVTControlCharacters } from 'node:util';
import dnsPacket, { type DecodedPacket } from 'dns-packet';
import { parseConfig, systemLoadOptions } from '../../src/config/load.js';
import {
  type Demo,
  type DemoPorts,
  type DemoServer,
  demoCorefile,
  freePort,
  pointOf,
  type Row,
  runDemo,
  tableLines,
} from '../../src/demo/demo.js';
import type { Endpoint, Network } from '../../src/os/network.js';
import { plugins } from '../../src/plugins/registry.js';
import { Client } from '../simulation/client.js';
import { ManualClock } from '../simulation/clock.js';
import { MemoryNetwork } from '../simulation/network.js';
import { seededRandom } from '../simulation/random.js';

const address = '127.0.0.1';

interface World {
  readonly clock: ManualClock;
  readonly network: MemoryNetwork;
  readonly lines: string[];
  /** `NAME TYPE` of what `serveSimply` was asked. */
  readonly asked: string[];
  served: { corefile: string; ports: DemoPorts } | null;
  run(serve?: (corefile: string, ports: DemoPorts) => Promise<DemoServer>): Promise<Demo>;
}

function newWorld(): World {
  const clock = new ManualClock();
  const network = new MemoryNetwork(clock, seededRandom(1));
  const lines: string[] = [];
  const world: World = {
    clock,
    network,
    lines,
    asked: [],
    served: null,
    run: (serve = (corefile, ports) => serveSimply(world, corefile, ports)) =>
      clock.until(runDemo({ network, clock, write: (line) => lines.push(line), isColored: false, serve })),
  };
  return world;
}

/** A server as simple as can be: AAAA is NXDOMAIN, everything else is asked over TCP once and kept for ever. */
async function serveSimply(world: World, corefile: string, ports: DemoPorts): Promise<DemoServer> {
  const { network, clock } = world;
  world.served = { corefile, ports };
  const upstream = endpointIn(corefile);
  const client = new Client({ network, clock, random: seededRandom(2) }, upstream);
  const cache = new Map<string, Buffer>();
  let synthesized = 0;
  const answer = async (query: DecodedPacket): Promise<Buffer> => {
    const [question] = query.questions ?? [];
    world.asked.push(`${question.name} ${question.type}`);
    if (question.type === 'AAAA') {
      synthesized++;
      return dnsPacket.encode({ type: 'response', flags: 3, questions: [question] } as dnsPacket.Packet);
    }
    const key = `${question.name} ${question.type}`;
    const known = cache.get(key) ?? (await client.asks(question.name, question.type, { transport: 'tcp' })).bytes;
    cache.set(key, known);
    return Buffer.from(known);
  };
  const socket = await network.openDatagrams(
    { address, port: ports.dns },
    {
      datagram(bytes, from) {
        const query = dnsPacket.decode(Buffer.from(bytes));
        void answer(query).then((message) => {
          message.writeUInt16BE(query.id ?? 0);
          socket.send(message, from);
        });
      },
      error() {},
    },
  );
  return { synthesized: () => synthesized };
}

/** The first upstream of a Corefile. */
function endpointIn(corefile: string): Endpoint {
  const port = /forward \. 127\.0\.0\.1:(\d+)/.exec(corefile)?.[1];
  return { address, port: Number(port) };
}

const rowsOf = (lines: readonly string[], start: string): string[] => lines.filter((line) => line.startsWith(start));

test('it shows a miss, hits, a synthesized denial, denials from memory and a search path', async () => {
  const world = newWorld();
  await world.run();
  const web = rowsOf(world.lines, 'A     web.default.svc.cluster.local ');
  assert.equal(web.length, 3);
  assert.match(web[0], / 10\.96\.20\.80 +upstream +\d+$/);
  assert.match(web[1], / 10\.96\.20\.80 +cache +\d+$/);
  assert.match(web[2], / cache +\d+$/);
  assert.match(rowsOf(world.lines, 'AAAA  web.default.svc.cluster.local')[0], /NXDOMAIN +policy +\d+$/);
  const nothing = rowsOf(world.lines, 'A     nothing.');
  assert.match(nothing[0], /NXDOMAIN +upstream/);
  assert.match(nothing[1], /NXDOMAIN +cache/);
  assert.match(rowsOf(world.lines, 'A     db.default')[0], / 10\.244\.1\.5 \+2 +upstream/);
  assert.match(rowsOf(world.lines, 'PTR   80.20.96.10.in-addr.arpa')[0], / web\.default\.s… +upstream/);
  assert.match(rowsOf(world.lines, 'SRV   _pg')[0], / 5432 db-0\.db\.… +upstream/);
});

test('what is measured is warm: each kind of answer was given before, for names that are not shown', async () => {
  const world = newWorld();
  await world.run();
  const { asked } = world;
  const shown = asked.indexOf('web.default.svc.cluster.local A');
  assert.equal(asked.length, shown + 18);
  const before = asked.slice(0, shown);
  assert(new Set(before).size > 100, 'misses');
  assert(before.filter((each) => each === 'kubernetes.default.svc.cluster.local A').length >= 500, 'hits');
  assert(before.includes('kubernetes.default.svc.cluster.local AAAA'), 'synthesized ones');
  assert(!world.lines.some((line) => /warm-up-|kubernetes/.test(line)));
});

test('the search path is walked as a pod walks it, then all of it comes from memory', async () => {
  const world = newWorld();
  await world.run();
  const walk = world.lines.filter((line) => /^A +www\.example\.com/.test(line));
  const [names, rcodes, sources] = [
    /(?<=^A +)\S+/,
    /(?:192\.0\.2\.80 \+1|NXDOMAIN)/,
    /(?:upstream|cache)(?= +\d+$)/,
  ].map((what) => walk.map((line) => what.exec(line)?.[0]));
  const once = ['.default.svc.cluster.local', '.svc.cluster.local', '.cluster.local', ''].map(
    (end) => `www.example.com${end}`,
  );
  assert.deepEqual(names, [...once, ...once]);
  const path = ['NXDOMAIN', 'NXDOMAIN', 'NXDOMAIN', '192.0.2.80 +1'];
  assert.deepEqual(rcodes, [...path, ...path]);
  assert.deepEqual(sources, [...new Array(4).fill('upstream'), ...new Array(4).fill('cache')]);
});

test('it says what to type, with the ports that it has, and goes on answering until it is stopped', async () => {
  const world = newWorld();
  const demo = await world.run();
  const text = world.lines.join('\n');
  assert.deepEqual(world.served?.ports, { dns: 1053, health: 8080, ready: 8181, metrics: 9253 });
  assert.match(text, /dig @127\.0\.0\.1 -p 1053 web\.default\.svc\.cluster\.local\. A/);
  assert.match(text, /curl -s http:\/\/127\.0\.0\.1:9253\/metrics/);
  assert.match(text, /curl http:\/\/127\.0\.0\.1:8080\/health/);
  assert.doesNotMatch(text, /in use/);
  for (const line of world.lines) assert(line.length <= 80 && line === line.trimEnd(), line);

  const client = new Client({ ...world, random: seededRandom(3) }, endpointIn(world.served?.corefile ?? ''));
  const later = await world.clock.until(client.asks('example.com', 'A', { transport: 'tcp' }));
  assert.deepEqual(later.data, ['192.0.2.10']);
  demo.stop();
  await assert.rejects(world.clock.until(client.asks('example.com', 'A', { transport: 'tcp' })));
});

test('a port that is taken is replaced by the next, and that is said', async () => {
  const world = newWorld();
  const noEvents = { data() {}, ended() {}, closed() {} };
  await world.network.listenStreams({ address, port: 8080 }, () => noEvents);
  await world.network.openDatagrams({ address, port: 1053 }, { datagram() {}, error() {} });
  await world.run();
  assert.deepEqual(world.served?.ports, { dns: 1054, health: 8081, ready: 8181, metrics: 9253 });
  assert.deepEqual(
    world.lines.filter((line) => line.includes('is in use')),
    ['Port 1053 is in use; dns is on 1054 instead.', 'Port 8080 is in use; health is on 8081 instead.'],
  );
  assert(world.lines.some((line) => line.includes('dig @127.0.0.1 -p 1054 ')));
});

test('a server that does not answer is shown as such', async () => {
  const world = newWorld();
  await world.run(async (_corefile, ports) => {
    await world.network.openDatagrams({ address, port: ports.dns }, { datagram() {}, error() {} });
    return { synthesized: () => 0 };
  });
  const rows = world.lines.filter((line) => line.includes('no answer'));
  assert(rows.length > 10);
  for (const row of rows) assert.match(row, /no answer$/);
});

test('a failed start closes the stand-in', async () => {
  const world = newWorld();
  const failing = world.run(async () => {
    throw new Error('no such start');
  });
  await assert.rejects(failing, /no such start/);
  await world.clock.pass(1_000);
  assert.deepEqual(world.network.open, { datagramSockets: 0, connections: 0 });
});

test('questions of the server itself do not count as the question’s', async () => {
  const world = newWorld();
  await world.run(async (corefile, ports) => {
    const server = await serveSimply(world, corefile, ports);
    const { network, clock } = world;
    const prober = new Client({ network, clock, random: seededRandom(4) }, endpointIn(corefile));
    clock.every(0.01, () => void prober.asks('1.2.cluster.local', 'HINFO', { transport: 'udp' }).catch(() => {}));
    return server;
  });
  assert.match(rowsOf(world.lines, 'A     web.default.svc.cluster.local ')[1], / cache /);
});

test('the Corefile is one that the server takes, and listens on the loopback address only', () => {
  const ports: DemoPorts = { dns: 1053, health: 8080, ready: 8181, metrics: 9253 };
  const config = parseConfig(demoCorefile('127.0.0.1:40000', ports), 'demo', systemLoadOptions(53, plugins));
  for (const { addresses, zones, forwards } of config.blocks) {
    assert.deepEqual(addresses, [address]);
    for (const { port } of zones) assert.equal(port, 1053);
    for (const { to } of forwards) {
      assert.deepEqual(to, [{ kind: 'endpoint', endpoint: { address, port: 40000 } }]);
    }
  }
  assert.equal(config.health?.addresses[0].port, 8080);
  assert.equal(config.ready?.addresses[0].port, 8181);
  assert.deepEqual(config.metrics, [{ address, port: 9253 }]);
});

const at = (port: number): Endpoint => ({ address: '127.0.0.1', port });
const noEvents = { data() {}, ended() {}, closed() {} };

function world(): { clock: ManualClock; network: MemoryNetwork; free(port: number): Promise<number> } {
  const clock = new ManualClock();
  const network = new MemoryNetwork(clock, seededRandom(1));
  return { clock, network, free: (port) => clock.until(freePort({ network, clock }, at(port))) };
}

test('the wanted port when nobody has it', async () => {
  const { clock, network, free } = world();
  assert.equal(await free(1053), 1053);
  await clock.pass(1_000);
  assert.deepEqual(network.open, { datagramSockets: 0, connections: 0 });
  assert.equal(clock.timersSet, 0);
});

test('the next one when TCP, UDP, or both are taken', async () => {
  const { network, free } = world();
  await network.listenStreams(at(1053), () => noEvents);
  await network.openDatagrams(at(1054), { datagram() {}, error() {} });
  assert.equal(await free(1053), 1055);
  assert.equal(await free(1055), 1055);
});

test('a port that could be shared is taken all the same', async () => {
  const { clock, network } = world();
  await network.listenStreams(at(1053), () => noEvents);
  // As with SO_REUSEPORT: binding succeeds although somebody listens.
  const sharing: Network = {
    openDatagrams: (to, events) => network.openDatagrams(to, events),
    connectDatagrams: (to, events) => network.connectDatagrams(to, events),
    connectStream: (to, events) => network.connectStream(to, events),
    connectPath: (path, events) => network.connectPath(path, events),
    listenStreams: async (to) => ({ local: to, close() {} }),
  };
  assert.equal(await clock.until(freePort({ network: sharing, clock }, at(1053))), 1054);
});

test('a port where connects hang is not free', async () => {
  const { network, free } = world();
  await network.listenStreams(at(1053), () => noEvents);
  network.stall(at(1053));
  assert.equal(await free(1053), 1054);
});

test('when a hundred are taken, or there are no more, it says so', async () => {
  const { network, free } = world();
  for (let port = 2000; port < 2100; port++) await network.listenStreams(at(port), () => noEvents);
  await assert.rejects(free(2000), /No port of 127\.0\.0\.1 from 2000 on is free/);
  await network.listenStreams(at(65535), () => noEvents);
  await assert.rejects(free(65535), /from 65535 on/);
});

const row: Row = { type: 'A', name: 'a', answer: '192.0.2.1', source: 'upstream', microseconds: 870 };

test('columns are as wide as their widest cell, numbers to the right, captions between', () => {
  const lines = tableLines(
    [
      { caption: 'One.', rows: [row, { ...row, name: 'long.example', source: 'cache', microseconds: 9 }] },
      { caption: 'Two.', rows: [{ ...row, type: 'AAAA', answer: 'NXDOMAIN' }] },
    ],
    false,
  );
  assert.deepEqual(lines, [
    'TYPE  NAME          ANSWER     FROM       µs',
    '',
    '# One.',
    'A     a             192.0.2.1  upstream  870',
    'A     long.example  192.0.2.1  cache       9',
    '',
    '# Two.',
    'AAAA  a             NXDOMAIN   upstream  870',
  ]);
});

test('no line ends in blanks, also without an answer', () => {
  const rows = [row, { ...row, answer: 'no answer', source: '', microseconds: null }];
  for (const line of tableLines([{ caption: 'x', rows }], false)) assert.equal(line, line.trimEnd());
});

test('a long answer is cut, so that the longest name of a search path leaves 80 columns', () => {
  const name = 'www.example.com.default.svc.cluster.local';
  const rows = [{ ...row, name, answer: 'y'.repeat(200), microseconds: 99_999 }];
  const lines = tableLines([{ caption: 'x', rows }], false);
  assert(lines[3].includes(`  ${'y'.repeat(13)}…  upstream`));
  assert.equal(lines[3].length, 80);
});

test('without sections there is the heading', () => {
  assert.deepEqual(tableLines([], false), ['TYPE  NAME  ANSWER  FROM  µs']);
});

test('colors change no character of the text, and tell the sources apart', () => {
  const sections = [{ caption: 'x', rows: ['upstream', 'cache', 'policy', ''].map((source) => ({ ...row, source })) }];
  const colored = tableLines(sections, true);
  const bare = colored.map((line) => stripVTControlCharacters(line));
  assert.deepEqual(bare, tableLines(sections, false));
  const colors = colored.slice(3).map((line) => line.slice(0, line.indexOf('A ')));
  assert.equal(new Set(colors).size, 4);
});

test('the point is made with the medians that were measured', () => {
  const of = (source: string, ...times: number[]): Row[] =>
    times.map((microseconds) => ({ ...row, source, microseconds }));
  const silent = { ...row, source: '', microseconds: null };
  assert.equal(
    pointOf([...of('upstream', 700, 5_000, 810), ...of('cache', 90, 80, 4_000), ...of('policy', 95), silent]),
    '4 of 7 queries never left the node and took 0.10 ms, the other 3 took 0.81 ms.',
  );
  assert.equal(pointOf([silent]), '');
  assert.equal(pointOf(of('cache', 5)), '');
});
