/**
 * The end, again and again, of a program that listens for DNS and nothing else: no /health, /ready or /metrics keeps
 * its event loop alive. Whenever the signal comes and however often, it stops in order: exit 0, `stopped` in its log,
 * and nothing left of its link and rules.
 */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { localAddress } from './cluster-node.js';
import { eventually, needs, type Running, start } from './commands.js';
import { freePort } from './packets.js';
import { makePodNode, type PodNode } from './pod-node.js';
import { entry, ioPath, quietFlags } from './zerohop.js';

const rounds = 12;
const silent = '-metrics-listen-address=';

let folder: string;
before(() => {
  folder = mkdtempSync(join(tmpdir(), 'zerohop-end-'));
});
after(() => rmSync(folder, { recursive: true }));

interface Place {
  readonly port: number;
  readonly corefile: string;
}

async function newPlace(lines = ''): Promise<Place> {
  const port = await freePort();
  const corefile = join(folder, `${port}.corefile`);
  writeFileSync(corefile, corefileFor(port, lines));
  return { port, corefile };
}

function corefileFor(port: number, lines = ''): string {
  return `.:${port} {\n    bind 127.0.0.1\n    cache\n    forward . 127.0.0.1:9\n    ${lines}\n}\n`;
}

function starts({ corefile }: Place, ...flags: string[]): Running {
  return start([...entry, '-conf', corefile, ...quietFlags, '-localip', '127.0.0.1', silent, ...flags]);
}

async function serves(program: Running): Promise<Running> {
  await eventually('it serves', () => (program.stdout().includes(' serves on ') ? true : undefined));
  return program;
}

async function assertOrderly(program: Running, round: number): Promise<void> {
  const { status, stdout, stderr } = await program.finished;
  assert.deepEqual([status, stdout.includes('"stopped"')], [0, true], `round ${round}: ${stderr}${stdout}`);
}

for (const [signal, ...flags] of [['SIGTERM'], ['SIGINT', '-workers', '4']] as const) {
  test(`${signal} ${flags.join(' ')}: every end is in order`, async () => {
    const place = await newPlace();
    for (let round = 0; round < rounds; round++) {
      const program = await serves(starts(place, ...flags));
      program.signal(signal);
      await assertOrderly(program, round);
    }
  });
}

test('during a reload, and with a second signal during lameduck: the same', async () => {
  const place = await newPlace();
  for (let round = 0; round < rounds / 2; round++) {
    const program = await serves(starts(place));
    writeFileSync(place.corefile, corefileFor(place.port, `minimal # ${round}`));
    program.signal('SIGHUP');
    program.signal('SIGTERM');
    await assertOrderly(program, round);
  }
  const lame = await newPlace(`health 127.0.0.1:${await freePort()} {\n        lameduck 60s\n    }`);
  for (let round = 0; round < rounds / 2; round++) {
    const program = await serves(starts(lame));
    program.signal('SIGTERM');
    await eventually('the first is seen', () => (program.stdout().includes('SIGTERM:') ? true : undefined));
    program.signal('SIGTERM');
    await assertOrderly(program, round);
  }
});

// Without threads there is no hand-over.
if (ioPath === 'threads') {
  test('beside a successor that is starting, and as that successor: the same', async () => {
    const path = join(folder, 'handover.sock');
    const place = await newPlace();
    for (let round = 0; round < rounds / 2; round++) {
      const flags = ['-handover', path];
      const first = await serves(starts(place, ...flags));
      const second = starts(place, ...flags);
      await eventually('the second takes its arguments', () => (second.stdout() !== '' ? true : undefined), 15_000);
      const [ending, staying] = round % 2 === 0 ? [first, second] : [second, first];
      ending.signal('SIGTERM');
      await assertOrderly(ending, round);
      await serves(staying);
      staying.signal('SIGTERM');
      await assertOrderly(staying, round);
    }
  });
}

test('a start that fails with its threads running says why, and ends with 1', async () => {
  const place = await newPlace();
  const taken = createServer();
  await new Promise<void>((resolve) => void taken.listen(place.port, '127.0.0.1', resolve));
  for (let round = 0; round < rounds / 2; round++) {
    const { status, stderr } = await starts(place, '-workers', '2').finished;
    assert.equal(status, 1, `round ${round}: ${stderr}`);
    assert.match(stderr, /^zerohop: cannot listen on 127\.0\.0\.1 port \d+: address already in use; .*\n$/u);
  }
  taken.close();
});

describe('on a node', { skip: needs('root', 'ip', 'iptables-nft', 'conntrack', 'dig') }, () => {
  let node: PodNode;
  before(async () => {
    node = await makePodNode('iptables-nft');
  });
  after(() => node?.remove());

  test('link and rules are gone after every end', async () => {
    const corefile = join(node.folder, 'Corefile');
    writeFileSync(corefile, corefileFor(53).replace('127.0.0.1', localAddress));
    const flags = ['-localip', localAddress, '-setupinterface', '-setupiptables', '-handover=', '-control=', silent];
    for (let round = 0; round < rounds / 2; round++) {
      const program = await serves(start(node.command(...entry, '-conf', corefile, ...flags)));
      await eventually('the rules are in place', () =>
        program.stdout().includes('firewall rules') ? true : undefined,
      );
      assert.notDeepEqual([await node.ownRules(), await node.ownAddresses()], [[], []]);
      program.signal('SIGTERM');
      await assertOrderly(program, round);
      assert.deepEqual([await node.ownRules(), await node.ownAddresses()], [[], []]);
    }
  });
});
