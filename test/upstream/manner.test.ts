import assert from 'node:assert/strict';
import { test } from 'node:test';
import { notSent } from '../../src/upstream/attempt.js';
import { Edns } from '../../src/upstream/edns.js';
import { besideWithoutOpt, doubtsOpt, mannerOf, type Wish, withoutOpt } from '../../src/upstream/manner.js';
import type { Try } from '../../src/upstream/try.js';
import { type Upstream, Ways } from '../../src/upstream/upstream.js';
import { request } from './scripted.js';

/** An upstream of which nothing is known. */
function unknown() {
  const edns = new Edns();
  const ways = new Ways();
  const wayTo: Upstream['wayTo'] = (wanted, failed, nowMs) => {
    const usual = ways.usual(wanted, nowMs);
    return failed.length > 0 && failed.every((way) => way === usual) ? ways.afterSilence(usual, nowMs) : usual;
  };
  return { edns, ways, upstream: { edns, wayTo } as unknown as Upstream };
}

const wish = (settings: Partial<Wish> = {}): Wish => ({
  request: request('a'),
  transport: 'udp',
  isFixed: false,
  ...settings,
});
const needing = wish({ request: request('a', { dnssecOk: true }) });

function tried(upstream: Upstream, facts: Partial<Try> = {}): Try {
  const plain = {
    request: request('a'),
    transport: 'udp',
    carriesOpt: true,
    judgement: null,
    isLost: false,
    sentAtMs: 0,
  };
  return { ...plain, upstream, ...facts } as Try;
}

test('at first as wanted, with OPT; without where it is known that nothing comes with one, but for what needs it', () => {
  const { upstream, edns } = unknown();
  assert.deepEqual(mannerOf(upstream, [], wish(), 0), { transport: 'udp', allowsOpt: true, testsOpt: false });
  edns.learn(0);
  assert.deepEqual(mannerOf(upstream, [], wish(), 1), { transport: 'udp', allowsOpt: false, testsOpt: false });
  assert.equal(mannerOf(upstream, [], needing, 1).allowsOpt, true);
});

test('where the OPT was refused, without; another upstream is not concerned', () => {
  const { upstream, ways } = unknown();
  ways.heard('udp', 0);
  const tries = [tried(upstream, { judgement: 'opt refused' })];
  assert.deepEqual(mannerOf(upstream, tries, wish(), 0), withoutOpt('udp'));
  assert.equal(mannerOf(unknown().upstream, tries, wish(), 0).allowsOpt, true);
});

test('after silence over the same transport without, unless it answers with OPT; errors are no silence', () => {
  const { upstream, ways, edns } = unknown();
  ways.heard('udp', 0);
  assert.deepEqual(mannerOf(upstream, [tried(upstream)], wish(), 0), withoutOpt('udp'));
  assert.equal(mannerOf(upstream, [tried(upstream, { isLost: true })], wish(), 0).testsOpt, false);
  assert.equal(mannerOf(upstream, [tried(upstream, { sentAtMs: notSent })], wish(), 0).testsOpt, false);
  assert.equal(mannerOf(upstream, [tried(upstream, { judgement: 'malformed' })], wish(), 0).testsOpt, false);
  edns.heard(0);
  assert.equal(mannerOf(upstream, [tried(upstream)], wish(), 0).testsOpt, false);
});

test('what was cut comes over TCP; where TCP has nothing, once without OPT, and then over TCP again', () => {
  const { upstream, ways } = unknown();
  const cut = tried(upstream, { judgement: 'cut' });
  assert.equal(mannerOf(upstream, [cut], wish(), 0).transport, 'tcp');
  const refused = tried(upstream, { transport: 'tcp', carriesOpt: false, isLost: true });
  assert.deepEqual(mannerOf(upstream, [cut, refused], wish(), 0), withoutOpt('udp'));
  const without = tried(upstream, { carriesOpt: false, judgement: 'cut' });
  assert.equal(mannerOf(upstream, [cut, refused, without], wish(), 0).transport, 'tcp');
  assert.equal(mannerOf(upstream, [cut, refused], wish({ transport: 'tcp', isFixed: true }), 0).transport, 'tcp', 'TC');
  ways.learn('udp', 0);
  assert.deepEqual(mannerOf(upstream, [cut], wish(), 0), withoutOpt('udp'));
});

test('an OPT is doubted where nothing speaks for it, and one that is needed only where it is known to be the trouble', () => {
  const { upstream, edns } = unknown();
  const plain = tried(upstream);
  const dnssec = tried(upstream, { request: needing.request });
  assert.deepEqual([doubtsOpt(plain, 0), doubtsOpt(dnssec, 0)], [true, false]);
  edns.learn(0);
  assert.deepEqual([doubtsOpt(plain, 1), doubtsOpt(dnssec, 1)], [true, true]);
  edns.heard(1);
  assert.deepEqual([doubtsOpt(plain, 1), doubtsOpt(dnssec, 1)], [false, false]);
});

test('beside a silent try: perhaps without OPT, surely if that was found meanwhile, and once', () => {
  const { upstream, edns } = unknown();
  const silent = tried(upstream);
  assert.equal(besideWithoutOpt(silent, [silent], 0), 'perhaps');
  const overTcp = tried(upstream, { transport: 'tcp', carriesOpt: false });
  assert.equal(besideWithoutOpt(silent, [silent, overTcp], 0), 'perhaps');
  assert.equal(besideWithoutOpt(overTcp, [silent, overTcp], 0), 'no');
  edns.learn(0);
  assert.equal(besideWithoutOpt(silent, [silent], 1), 'known');
  const without = tried(upstream, { carriesOpt: false });
  assert.equal(besideWithoutOpt(silent, [silent, without], 1), 'no');
});
