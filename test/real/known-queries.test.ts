/** Each metric and label that dashboards and rules made for node-cache and CoreDNS query is on a running instance's page. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { families } from '../../src/process/endpoints.js';
import { page, tableRows } from '../docs/pages.js';
import { eventually } from './commands.js';
import { known } from './known-queries.js';
import { type LoopbackZerohop, question, startOnLoopback } from './loopback.js';
import { freePort, openTcp, openUdp } from './packets.js';
import { goodAnswer, type StandIn, startStandIn } from './stand-in.js';

const servfail = 2;
const aType = 1;

let upstream: StandIn;
let zerohop: LoopbackZerohop;
let lines: string;
let samples: readonly Readonly<Record<string, string>>[];

before(async () => {
  upstream = await startStandIn((query) => [query.includes('broken') ? refusing(query) : goodAnswer(query)]);
  const [health, metrics] = [await freePort(), await freePort()];
  lines = `errors
    cache
    forward . ${upstream.address}:${upstream.port} {
        force_tcp
    }
    health 127.0.0.1:${health}
    prometheus 127.0.0.1:${metrics}`;
  zerohop = await startOnLoopback(lines, question(1, 'good', aType));
  for (const open of [openUdp, openTcp]) {
    const client = await open(zerohop.place);
    for (const [index, label] of ['good', 'broken'].entries()) {
      client.send(question(index + 2, label, aType));
      await client.receive(index + 2);
    }
    client.close();
  }
  // What a thread has counted is seen a moment after its answer.
  await eventually('everything asked is counted', async () => {
    samples = await read(`http://127.0.0.1:${metrics}/metrics`);
    return samples.some(({ name, proto }) => name === 'coredns_dns_requests_total' && proto === 'tcp') || undefined;
  });
});
after(async () => {
  await zerohop?.stop();
  upstream?.close();
});

for (const { whose, queries } of known) {
  test(`${whose}: every metric and label`, () => {
    const missing = queries.filter((query) => {
      const [name, ...labels] = query.split(' ');
      return !samples.some((sample) => sample['name'] === name && labels.every((label) => has(sample, label)));
    });
    assert.deepEqual(missing, []);
  });
}

test('-metrics-former-names=false leaves out the former names, and nothing else', async () => {
  const present = families.filter(({ isFormer }) => !isFormer);
  assert(present.length < families.length);
  assert.deepEqual(await shown(zerohop), namesOf(families));
  const flags = ['-metrics-former-names=false'];
  const without = await startOnLoopback(elsewhere(lines), question(1, 'good', aType), {}, [], flags);
  assert.deepEqual(await shown(without).finally(() => without.stop()), namesOf(present));
});

/** The families on the page of `-metrics-listen-address`. */
async function shown({ metrics: { address, port } }: LoopbackZerohop): Promise<string[]> {
  const text = await (await fetch(`http://${address}:${port}/metrics`)).text();
  return [...text.matchAll(/^# HELP (\S+)/gm)].map(([, name]) => name).sort();
}

function namesOf(all: typeof families): string[] {
  return all.map(({ name }) => name).sort();
}

/** The same lines for a second instance, without the endpoints whose ports the first one has. */
function elsewhere(lines: string): string {
  return lines.replace(/^ *(?:health|prometheus) .*$/gm, '');
}

test('what is left out is not there, and docs/MONITORING.md says why', () => {
  const leftOut = [...new Set(known.flatMap(({ leftOut = [] }) => leftOut))];
  for (const name of leftOut) assert(!samples.some((sample) => sample['name'].startsWith(name)), name);
  const rows = tableRows(page('docs/MONITORING.md'), 'missing');
  const explained = rows.flatMap(([names]) => names.split(', ').map((name) => name.replaceAll('`', '')));
  assert.deepEqual(explained.sort(), leftOut.sort());
  for (const [names, why] of rows) assert(why.length > 20, names);
});

test('docs/MONITORING.md lists whose they are', () => {
  const listed = tableRows(page('docs/MONITORING.md'), 'source').map(([whose]) => whose);
  assert.deepEqual(
    listed,
    known.map(({ whose }) => whose),
  );
});

/** A page's samples: labels, and the metric as `name`; but a label called `name` stays what it is under `name_label`. */
async function read(url: string): Promise<Readonly<Record<string, string>>[]> {
  const text = await (await fetch(url)).text();
  const lines = text.split('\n').filter((line) => line !== '' && !line.startsWith('#'));
  return lines.map((line) => {
    const labels = [...line.matchAll(/(\w+)="((?:[^"\\]|\\.)*)"/g)].map(([, label, value]) => [label, value]);
    const [name] = /^\w+/.exec(line) ?? [''];
    const own = Object.fromEntries(labels.map(([label, value]) => [label === 'name' ? 'name_label' : label, value]));
    return { ...own, name };
  });
}

/** `label` or `label=value`. */
function has(sample: Readonly<Record<string, string>>, wanted: string): boolean {
  const [label, value] = wanted.split('=');
  const is = sample[label === 'name' ? 'name_label' : label];
  return is !== undefined && (value === undefined || is === value);
}

/** SERVFAIL from the upstream itself. */
function refusing(query: Buffer): Buffer {
  const answer = goodAnswer(query);
  answer[3] = (answer[3] & 0xf0) | servfail;
  answer.writeUInt16BE(0, 6);
  return answer.subarray(0, answer.length - 16);
}
