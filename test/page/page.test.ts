import assert from 'node:assert/strict';
import type { Readable } from 'node:stream';
import { describe, it } from 'node:test';
import { byCache, observeDuration } from '../../src/counters.js';
import { nameToWire } from '../../src/dns/names.js';
import { pageCorefileCharactersMax, pagePointMs, pageStreamsMax, pageTickMs } from '../../src/limits.js';
import type { Asked } from '../../src/observe/http.js';
import { Top } from '../../src/observe/top.js';
import { newPage } from '../../src/page/page.js';
import type { CorefileShown, PageSource } from '../../src/page/view.js';
import { durationsOf, UpstreamStats } from '../../src/upstream/endpoint.js';
import { kernelLane, newPage as newCounters, newSource } from '../observe/source.js';
import { ManualClock } from '../simulation/clock.js';
import { answered } from './counts.js';

const asked: Asked = {
  method: 'GET',
  host: 'localhost',
  query: new URLSearchParams(),
  isLocal: true,
  remote: { address: '127.0.0.1', port: 40_000 },
  local: { address: '127.0.0.1', port: 9254 },
};
const corefile: CorefileShown = {
  source: '/etc/Corefile',
  sha512: 'ab',
  sinceMs: 1_700_000_000_000,
  isLastRefused: false,
  pieces: [{ file: '/etc/Corefile', text: '. {\n    forward . 10.96.0.10\n}\n' }],
  findings: [],
};

interface Event {
  readonly name: string;
  // biome-ignore lint/suspicious/noExplicitAny: what a page reads, which has no types
  readonly data: any;
}

function eventsIn(text: string): Event[] {
  return [...text.matchAll(/^event: (\w+)\ndata: (.*)\n\n/gm)].map(([, name, data]) => ({
    name,
    data: JSON.parse(data),
  }));
}

function newWorld(parts: Partial<PageSource> = {}) {
  const clock = new ManualClock();
  const counters = newCounters(1);
  const page = newPage(clock);
  const top = new Top(clock);
  const source: PageSource = {
    ...newSource({ pages: () => [counters] }),
    hostName: 'node-a',
    failures: page.failures,
    top: (countMax) => top.talkers(countMax),
    corefile: () => corefile,
    findings: () => null,
    ...parts,
  };
  page.begin(source);
  const open = () => page.routes['/events'](asked);
  const connect = async (): Promise<{ first: Event[]; stream: Readable; next(): Event[] }> => {
    const { status, body, rest, contentType } = await open();
    assert.deepEqual([status, contentType], [200, 'text/event-stream']);
    return { first: eventsIn(body), stream: rest!, next: () => eventsIn(String(rest!.read() ?? '')) };
  };
  return { clock, counters, page, top, open, connect };
}

describe('the live page', () => {
  it('tells a page that connects everything: who, history, configuration, present numbers and lists', async () => {
    const { clock, counters, connect } = newWorld();
    answered(counters, 50, { by: byCache, cache: 'hit' });
    clock.passMs(pagePointMs);
    const { first } = await connect();
    assert.deepEqual(
      first.map(({ name }) => name),
      ['hello', 'present', 'lists'],
    );
    const [{ data: hello }, { data: present }, { data: lists }] = first;
    assert.deepEqual([hello.hostName, hello.version, hello.pointSeconds], ['node-a', '1.2.3', 10]);
    assert.deepEqual(hello.history.values[hello.history.columns.indexOf('hit')], [5]);
    assert.deepEqual(hello.corefile.pieces, corefile.pieces);
    assert.deepEqual([present.role, present.standBys, present.lane], ['serving', 0, null]);
    assert.deepEqual([lists.failures, lists.findings, lists.top.names], [[], null, []]);
  });

  it('tells the numbers of the last seconds every second, and the lists every five', async () => {
    const { clock, counters, connect } = newWorld();
    const { next } = await connect();
    const names: string[][] = [];
    for (let second = 0; second < 10; second++) {
      answered(counters, 20, { by: byCache, cache: 'hit', seconds: 0.0001 });
      clock.passMs(pageTickMs);
      const got = next();
      names.push(got.map(({ name }) => name));
      assert.equal(got[0].data.values[0], 20);
    }
    assert.deepEqual(names.filter((each) => each.length === 2).length, 2);
    assert.ok(names.every(([name]) => name === 'present'));
  });

  it('has the point that is not complete, and the last one that is', async () => {
    const { clock, counters, connect } = newWorld();
    const { next, first } = await connect();
    assert.deepEqual([first[1].data.complete, first[1].data.partial], [null, null]);
    answered(counters, 100, { by: byCache, cache: 'hit' });
    for (let passedMs = 0; passedMs < pagePointMs; passedMs += pageTickMs) {
      clock.passMs(pageTickMs);
      next();
    }
    answered(counters, 30, { by: byCache, cache: 'hit' });
    clock.passMs(pageTickMs);
    next();
    clock.passMs(pageTickMs);
    const { complete, partial } = next()[0].data;
    assert.deepEqual([complete.values[0], partial.values[0]], [10, 15]);
    assert.equal(partial.time - complete.time, 2);
  });

  it('reads the seconds only while somebody looks', async () => {
    const { clock, connect } = newWorld();
    assert.equal(clock.timersSet, 1, 'the history');
    const { stream } = await connect();
    assert.equal(clock.timersSet, 2);
    stream.destroy();
    await clock.pass(0);
    assert.equal(clock.timersSet, 1);
  });

  it('leaves nothing behind when it stops, and then sends pages away', async () => {
    const { clock, page, open, connect } = newWorld();
    const { stream } = await connect();
    page.stop();
    stream.resume();
    await clock.pass(0);
    assert.equal(clock.timersSet, 0);
    assert.equal(stream.destroyed, true);
    assert.equal((await open()).status, 503);
  });

  it('answers HEAD without a stream, and too many pages with 503', async () => {
    const { page, open, connect } = newWorld();
    assert.equal((await page.routes['/events']({ ...asked, method: 'HEAD' })).rest, undefined);
    for (let count = 0; count < pageStreamsMax; count++) await connect();
    assert.equal((await open()).status, 503);
  });

  it('shows each upstream once, with its worst state and the round trips of the last seconds', async () => {
    const [one, same, other] = ['10.96.0.10:53', '10.96.0.10:53', '[fd00::1]:53'].map((to) => new UpstreamStats(to));
    same.healthy = false;
    other.looping = true;
    const { clock, connect } = newWorld({ upstreams: () => [one, same, other] });
    const { next } = await connect();
    observeDuration(durationsOf(one, 'NOERROR'), 0, 0.002);
    observeDuration(durationsOf(same, 'SERVFAIL'), 0, 0.004);
    clock.passMs(pageTickMs);
    next();
    clock.passMs(pageTickMs);
    const { upstreams, partial } = next()[0].data;
    assert.deepEqual(
      upstreams.map((each: Record<string, unknown>) => [each['to'], each['state'], each['rttMs'], each['badAnswers']]),
      [
        ['10.96.0.10:53', 'down', 3, 1],
        ['[fd00::1]:53', 'looping', null, 0],
      ],
    );
    assert.deepEqual(partial.rtts, { '10.96.0.10:53': 3, '[fd00::1]:53': null });
  });

  it('says what the kernel lane does, and what is wrong', async () => {
    const findings = [{ code: 'endpoint-dead', verdict: 'fail', seen: 'x', meaning: 'y', command: null }] as const;
    const { connect, page } = newWorld({ kernelLane: () => kernelLane, findings: () => findings });
    page.failures.note(Uint8Array.of(...nameToWire('a.example.'), 0, 1, 0, 1), 2, 'i/o timeout');
    const [, present, lists] = (await connect()).first;
    assert.deepEqual(present.data.lane, { isOn: true, why: '', entries: 8, links: 9 });
    assert.deepEqual(lists.data.findings, findings);
    assert.equal(lists.data.failures[0].name, 'a.example.');
  });

  it('cuts a Corefile that is too long', async () => {
    const pieces = [
      { file: 'a', text: 'x'.repeat(pageCorefileCharactersMax) },
      { file: 'b', text: 'y' },
    ];
    const [{ data }] = (await newWorld({ corefile: () => ({ ...corefile, pieces }) }).connect()).first;
    assert.deepEqual([data.corefile.isCut, data.corefile.pieces[1].text], [true, '']);
  });
});
