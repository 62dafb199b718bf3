import assert from 'node:assert/strict';
import { describe, it, test } from 'node:test';
import type { ForwardConfig, UpstreamEndpoint } from '../../src/config/config.js';
import {
  comesBack,
  isOurs,
  ownListener,
  rememberedAddresses,
  returning,
  type Ways,
  waysOf,
} from '../../src/config/returning.js';
import { hostAddressesMs } from '../../src/limits.js';
import { configOf } from './options.js';

/** Blocks written as `KEYS | LINE | LINE …`; all listen on 127.0.0.1 unless a line says otherwise. */
function waysOfBlocks(...written: string[]): Ways {
  const blocks = written.map((text) => {
    const [keys, ...lines] = text.split('|').map((part) => part.trim());
    const bind = lines.some((line) => line.startsWith('bind')) ? [] : ['bind 127.0.0.1'];
    return `${keys} {\n${[...bind, ...lines].join('\n')}\n}`;
  });
  return waysOf(configOf(`${blocks.join('\n')}\n`).blocks);
}

function wayOf(ways: Ways, index: number, forwardIndex = 0) {
  const block = ways.blocks[index];
  const forward = block.forwards[forwardIndex];
  const [target] = forward.to;
  assert.ok(target.kind === 'endpoint');
  return { block, forward, endpoint: target.endpoint };
}

/** For the first upstream of each block: which zones come back, `all` when nothing else is asked there. */
function said(...written: string[]): string[] {
  const ways = waysOfBlocks(...written);
  return ways.blocks.map((_, index) => {
    const { zones, isAll } = returning(ways, wayOf(ways, index));
    return isAll ? 'all' : zones.join(' ');
  });
}

describe('returning', () => {
  it('is nothing where blocks on other ports ask somebody else', () => {
    assert.deepEqual(
      said(
        '.:5300 | forward . 127.0.0.1:5301 127.0.0.1:5302',
        '.:5301 | forward . tls://9.9.9.9',
        '.:5302 | forward . 1.1.1.1',
      ),
      ['', '', ''],
    );
  });

  it('is all where a block asks itself, by whatever address', () => {
    assert.deepEqual(said('. | forward . 127.0.0.1'), ['all']);
    for (const [bind, to] of [
      ['bind 0.0.0.0', '127.0.0.7'],
      ['bind ::', '127.0.0.1'],
      ['bind ::', '::1'],
      ['bind 127.0.0.1 127.0.0.2', '127.0.0.2'],
      ['bind 127.0.0.1', '0.0.0.0'],
    ]) {
      assert.deepEqual(said(`. | ${bind} | forward . ${to}`), ['all'], `${bind} ${to}`);
    }
  });

  it('is all on a circle of several blocks, and nothing for one that leads into it', () => {
    assert.deepEqual(
      said(
        '.:1 | forward . 127.0.0.1:2',
        '.:2 | forward . 127.0.0.1:3',
        '.:3 | forward . 127.0.0.1:2',
        '.:4 | forward . 127.0.0.1:5',
        '.:5 | forward . 9.9.9.9',
      ),
      ['', 'all', 'all', '', ''],
    );
  });

  it('is left to a block of the circle that has somebody else to ask, if there is one', () => {
    const other = '.:2 | forward . 127.0.0.1:1 9.9.9.9';
    assert.deepEqual(said('.:1 | forward . 127.0.0.1:2', other), ['', 'all']);
    assert.deepEqual(said('.:1 | forward . 127.0.0.1:2 8.8.8.8', other), ['', 'all'], 'of several to the last');
    assert.deepEqual(said('.:2 | forward . 127.0.0.1:1 9.9.9.9', '.:1 | forward . 127.0.0.1:2 8.8.8.8'), ['', 'all']);
    assert.deepEqual(
      said('.:1 | forward . 127.0.0.1:2', '.:2 | forward . 127.0.0.1:3 9.9.9.9', '.:3 | forward . 127.0.0.1:1'),
      ['', 'all', ''],
    );
    assert.deepEqual(said('. | forward . 127.0.0.1 9.9.9.9'), ['all']);
    // Two circles through one block, which has nobody else.
    const third = '.:3 | forward . 127.0.0.1:1 9.9.9.9';
    assert.deepEqual(said('.:1 | forward . 127.0.0.1:2', '.:2 | forward . 127.0.0.1:3 127.0.0.1:1', third), [
      '',
      '',
      'all',
    ]);
  });

  it('is about the names that the blocks on the way are for', () => {
    const first = 'a.example | forward . 127.0.0.1:5301';
    assert.deepEqual(said(first, '.:5301 | forward . 127.0.0.1'), ['all', 'a.example.']);
    assert.deepEqual(said(first, '.:5301 | forward b.example 127.0.0.1'), ['', '']);
    assert.deepEqual(said(first, '.:5301 | forward . 127.0.0.1 { | except a.example | }'), ['', '']);
    assert.deepEqual(said(first, '.:5301 | forward sub.a.example 127.0.0.1'), ['sub.a.example.', 'all']);
    assert.deepEqual(said(first, '.:5301 | forward . 127.0.0.1', 'sub.a.example | forward . 9.9.9.9'), [
      'all',
      'a.example.',
      '',
    ]);
  });

  it('goes by the longest zone of the listener that takes the question', () => {
    assert.deepEqual(
      said(
        '. | forward . 127.0.0.2',
        '. | bind 127.0.0.2 | forward . 9.9.9.9',
        '. | bind 127.0.0.3 | forward . 127.0.0.1',
      ),
      ['', '', ''],
    );
    // What is sent to an address goes to the socket on it, not to the one on all.
    assert.deepEqual(
      said('.:53 | bind 0.0.0.0 | forward . 127.0.0.2', 'a.test:53 | bind 127.0.0.2 | forward . 9.9.9.9'),
      ['', ''],
    );
  });

  it('goes on with the forwards that `next` leads to, and ends where a template answers everything', () => {
    const second = (next: string) => `.:2 | forward a.test 127.0.0.1:1 { ${next} | } | forward . 127.0.0.1:1`;
    const inSecond = (next: string) => {
      const ways = waysOfBlocks('.:1 | forward . 127.0.0.1:2', second(next));
      return comesBack(ways, wayOf(ways, 1, 1), { name: 'x.a.test.', type: 1 });
    };
    assert.deepEqual([inSecond('| next NXDOMAIN'), inSecond('')], [true, false]);
    const answered = '.:2 | template ANY ANY { | rcode NXDOMAIN | } | forward . 127.0.0.1:1';
    assert.deepEqual(said('.:1 | forward . 127.0.0.1:2', answered)[0], '');
  });

  it('goes by the names that are asked, which rewrite may have changed', () => {
    const cluster = 'cluster.local | forward . 10.96.0.10';
    const renaming = 'rewrite name suffix .corp.example .svc.cluster.local answer auto';
    assert.deepEqual(said(`corp.example | ${renaming} | forward . 127.0.0.1`, cluster), ['', '']);
    assert.deepEqual(said('corp.example | rewrite name exact a.test b.test | forward . 127.0.0.1', cluster), [
      'all',
      '',
    ]);
    const back = 'rewrite name suffix .svc.cluster.local .corp.example';
    assert.deepEqual(
      said(`corp.example | ${renaming} | forward . 127.0.0.1`, `cluster.local | ${back} | forward . 127.0.0.1`),
      ['all', 'all'],
    );
    const stopped = `rewrite ttl regex .* 30 | ${renaming}`;
    assert.deepEqual(said(`corp.example | ${stopped} | forward . 127.0.0.1`, cluster), ['all', '']);
    assert.deepEqual(said('. | rewrite name suffix .a.test .b.a.test | forward . 127.0.0.1')[0], 'all', 'it grows');
  });

  it('is nothing for upstreams over TLS, on other ports, or of others', () => {
    assert.deepEqual(said('. | forward . tls://127.0.0.1:53'), ['']);
    assert.deepEqual(said('. | forward . 127.0.0.1:54'), ['']);
    assert.deepEqual(said('. | forward . 192.0.2.1'), ['']);
  });
});

describe('comesBack', () => {
  const ways = waysOfBlocks(
    'corp.example | rewrite name suffix .corp.example .svc.cluster.local | forward . 127.0.0.1',
    'cluster.local | forward . 10.96.0.10',
  );
  const back = (name: string, type = 1) => comesBack(ways, wayOf(ways, 0), { name, type });

  it('is said of one question as it is sent', () => {
    assert.equal(back('a.svc.cluster.local.'), false);
    assert.equal(back('corp.example.'), true, 'no rule is about the zone itself');
  });

  it('knows that DS at a zone is its parent’s', () => {
    const two = waysOfBlocks('a.test | forward . 127.0.0.1', 'test | forward . 9.9.9.9');
    assert.equal(comesBack(two, wayOf(two, 0), { name: 'a.test.', type: 1 }), true);
    assert.equal(comesBack(two, wayOf(two, 0), { name: 'a.test.', type: 43 }), false);
    assert.equal(comesBack(two, wayOf(two, 0), { name: 'b.a.test.', type: 43 }), true);
  });

  it('goes by the upstreams that are known at the moment', () => {
    const written = waysOfBlocks('.:1 | forward . 127.0.0.1:2', '.:2 | forward . /etc/resolv.conf');
    const learned = new Map<ForwardConfig, UpstreamEndpoint[]>();
    const known = waysOf(written.blocks, {
      hostAddresses: () => ['192.0.2.7'],
      endpoints: (forward) => learned.get(forward) ?? [],
    });
    const asked = { name: 'a.test.', type: 1 };
    assert.equal(comesBack(known, wayOf(written, 0), asked), false);
    const endpoint = { address: '127.0.0.1', port: 2 };
    learned.set(written.blocks[0].forwards[0], [endpoint]);
    assert.equal(comesBack(known, { ...wayOf(written, 0), endpoint }, asked), false);
    learned.set(written.blocks[1].forwards[0], [{ address: '192.0.2.7', port: 1 }]);
    assert.equal(comesBack(known, { ...wayOf(written, 0), endpoint }, asked), false, 'not of ours');
    learned.set(written.blocks[1].forwards[0], [{ address: '127.0.0.1', port: 1 }]);
    assert.equal(comesBack(known, { ...wayOf(written, 0), endpoint }, asked), true);
  });
});

describe('isOurs', () => {
  it('is an endpoint of ours without TLS', () => {
    const ways = waysOfBlocks('. | forward . 9.9.9.9');
    assert.equal(isOurs({ address: '127.0.0.1', port: 53 }, ways), true);
    assert.equal(isOurs({ address: '127.0.0.1', port: 53, overTls: true }, ways), false);
    assert.equal(isOurs({ address: '127.0.0.2', port: 53 }, ways), false);
  });
});

const hostAddresses = (): readonly string[] => ['127.0.0.1', '192.0.2.10', 'fd00::10'];

function listener(listens: readonly string[], to: string, port = 53): string | null {
  return ownListener(
    { address: to, port },
    { listening: listens.map((address) => ({ address, port: 53 })), hostAddresses },
  );
}

const own = (listens: readonly string[], to: string, port?: number): boolean => listener(listens, to, port) !== null;

test('an address that is listened on, with its port', () => {
  assert.equal(own(['169.254.20.10', 'fd00::a'], '169.254.20.10'), true);
  assert.equal(own(['169.254.20.10', 'fd00::a'], 'fd00::a'), true);
  assert.equal(own(['169.254.20.10'], '169.254.20.10', 5353), false);
  assert.equal(own(['169.254.20.10'], '169.254.20.11'), false);
});

test('another address of this host is ours only where all addresses are listened on', () => {
  assert.equal(own(['169.254.20.10'], '192.0.2.10'), false);
  assert.equal(own(['169.254.20.10'], '127.0.0.1'), false);
  for (const all of ['::', '0.0.0.0']) {
    for (const address of ['192.0.2.10', '127.0.0.1', '127.0.0.53', '0.0.0.0'])
      assert.equal(own([all], address), true, address);
    assert.equal(own([all], '192.0.2.11'), false);
  }
  assert.equal(own(['::'], 'fd00::10'), true);
  assert.equal(own(['::'], '::1'), true);
  assert.equal(own(['0.0.0.0'], 'fd00::10'), false);
});

test('the unspecified address as a destination is this host', () => {
  assert.equal(listener(['127.0.0.1'], '0.0.0.0'), '127.0.0.1');
  assert.equal(listener(['::1'], '::'), '::1');
  assert.equal(own(['169.254.20.10'], '0.0.0.0'), false);
});

test('of several the listener is the one on the address itself, then the one of its family', () => {
  assert.equal(listener(['::', '0.0.0.0', '127.0.0.1'], '127.0.0.1'), '127.0.0.1');
  assert.equal(listener(['::', '0.0.0.0', '127.0.0.1'], '127.0.0.2'), '0.0.0.0');
  assert.equal(listener(['::', '127.0.0.1'], '127.0.0.2'), '::');
  assert.equal(listener(['::', '0.0.0.0'], 'fd00::10'), '::');
  assert.equal(listener(['::', '0.0.0.0'], '::'), '::');
});

test('the addresses of the host are read once in a while', () => {
  let nowMs = 0;
  let reads = 0;
  const addresses = rememberedAddresses(
    () => [`${++reads}`],
    () => nowMs,
  );
  assert.deepEqual([addresses(), addresses(), reads], [['1'], ['1'], 1]);
  nowMs = hostAddressesMs;
  assert.deepEqual([addresses(), reads], [['2'], 2]);
  const seldom = rememberedAddresses(
    () => [`${++reads}`],
    () => nowMs,
    5 * hostAddressesMs,
  );
  assert.deepEqual(seldom(), ['3']);
  nowMs += 5 * hostAddressesMs - 1;
  assert.deepEqual(seldom(), ['3']);
  nowMs += 1;
  assert.deepEqual(seldom(), ['4']);
});
