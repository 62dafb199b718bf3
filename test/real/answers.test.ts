/**
 * The standard node-local Corefile in front of a real Knot, asked by real clients: right answers for every kind of
 * record, denial and size, over UDP, UDP with EDNS and TCP.
 */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import {
  type Answer,
  ask,
  busyboxNslookup,
  compileResolvers,
  dataOf,
  getaddrinfo,
  getent,
  type Library,
  libraries,
  type Question,
  queryPrograms,
} from './clients.js';
import { makeNode, type Node } from './cluster-node.js';
import { eventually, needs } from './commands.js';
import { type Knot, startKnot } from './knot.js';
import { nodeLocalCorefile, startZerohop, type Zerohop } from './zerohop.js';
import { addresses } from './zones.js';

interface Expected {
  readonly name: string;
  readonly type: string;
  readonly rcode: string;
  /** Data of the answer section, in any order. */
  readonly data: readonly string[];
}

const svc = 'default.svc.cluster.local.';
const six = `6.${'0.'.repeat(29)}d.f.ip6.arpa.`;
const expectations: readonly Expected[] = [
  { name: `web.${svc}`, type: 'A', rcode: 'NOERROR', data: ['10.96.1.1'] },
  { name: `dual.${svc}`, type: 'AAAA', rcode: 'NOERROR', data: ['fd00::3'] },
  { name: `_http._tcp.web.${svc}`, type: 'SRV', rcode: 'NOERROR', data: [`0 100 80 web.${svc}`] },
  { name: `web.${svc}`, type: 'TXT', rcode: 'NOERROR', data: ['"a text" "and \\"another\\""'] },
  { name: '1.1.96.10.in-addr.arpa.', type: 'PTR', rcode: 'NOERROR', data: [`web.${svc}`] },
  { name: six, type: 'PTR', rcode: 'NOERROR', data: [`six.${svc}`] },
  {
    name: `one.${svc}`,
    type: 'A',
    rcode: 'NOERROR',
    data: ['10.96.1.1', `three.${svc}`, `two.${svc}`, `web.${svc}`],
  },
  { name: `nobody.${svc}`, type: 'A', rcode: 'NXDOMAIN', data: [] },
  { name: `web.${svc}`, type: 'AAAA', rcode: 'NOERROR', data: [] },
  { name: 'www.outside.test.', type: 'A', rcode: 'NOERROR', data: ['192.0.2.1'] },
  { name: 'nobody.outside.test.', type: 'TXT', rcode: 'NXDOMAIN', data: [] },
  { name: 'no-such-domain.', type: 'A', rcode: 'NXDOMAIN', data: [] },
];

describe('a node-local Corefile before a real Knot', { skip: needs('root', 'ip', 'knotd', 'knotc') }, () => {
  let node: Node;
  let knot: Knot;
  let zerohop: Zerohop;

  before(async () => {
    node = await makeNode();
    knot = await startKnot(node);
    zerohop = await startZerohop(node, nodeLocalCorefile({}));
  });
  after(async () => {
    await zerohop?.stop();
    await knot?.stop();
    node?.remove();
  });

  for (const program of queryPrograms) {
    test(`${program} gets the right answers`, { skip: needs(program) }, async () => {
      for (const over of ['udp', 'edns', 'tcp'] as const) {
        for (const { name, type, rcode, data } of expectations) {
          const answer = await ask(node, program, { name, type, over });
          const what = `${program} ${name} ${type} over ${over}`;
          assert.equal(answer.rcode, rcode, what);
          assert.deepEqual(dataOf(answer.answer), [...data].sort(), what);
          assert.deepEqual([answer.flags.includes('ra'), answer.flags.includes('tc')], [true, false], what);
          if (data.length === 0) assertDenial(answer, what);
        }
      }
    });

    test(`${program} gets 40 and 300 records: cut over UDP, whole over TCP`, { skip: needs(program) }, async () => {
      const forty = { name: `forty.${svc}`, type: 'A' };
      const many = { name: `many.${svc}`, type: 'A' };
      // 40 addresses take 40 × 16 bytes and the header: more than 512, less than 1232.
      await assertCut(program, { ...forty, over: 'udp' }, addresses.slice(0, 40));
      await assertWhole(program, { ...forty, over: 'edns' }, addresses.slice(0, 40));
      await assertWhole(program, { ...forty, over: 'tcp' }, addresses.slice(0, 40));
      await assertCut(program, { ...many, over: 'udp' }, addresses);
      await assertCut(program, { ...many, over: 'edns' }, addresses);
      await assertWhole(program, { ...many, over: 'tcp' }, addresses);
      await assertWhole(program, { name: 'forty.outside.test.', type: 'A', over: 'edns' }, addresses.slice(0, 40));
    });
  }

  test('the spelling of the question comes back, on a miss and on a hit', { skip: needs('dig', 'drill') }, async () => {
    for (const program of ['dig', 'drill'] as const) {
      for (const name of [`wEb.dEfAuLt.SvC.cLuStEr.LoCaL.`, `MIXEDcase.${svc}`, `mixedCASE.${svc}`]) {
        for (const over of ['udp', 'edns', 'tcp'] as const) {
          const answer = await ask(node, program, { name, type: 'A', over });
          assert.equal(answer.asked, name, `${program} over ${over}`);
          assert.equal(answer.answer.length, 1);
        }
      }
    }
  });

  test('TTLs count down, are never raised and never above the cap', { skip: needs('dig') }, async () => {
    const ttlOf = async (name: string): Promise<number> => {
      const { answer } = await ask(node, 'dig', { name: `${name}.${svc}`, type: 'A', over: 'udp' });
      return answer[0].ttlSeconds;
    };
    assert.equal(await ttlOf('zero'), 0);
    assert((await ttlOf('four')) <= 4);
    const first = await ttlOf('long');
    assert(first <= 30, `cap of 30, got ${first}`);
    const startedMs = performance.now();
    let last = first;
    const later = await eventually('a TTL two seconds lower', async () => {
      const ttl = await ttlOf('long');
      assert(ttl <= last, `${ttl} after ${last}`);
      last = ttl;
      return ttl <= first - 2 ? ttl : undefined;
    });
    const seconds = (performance.now() - startedMs) / 1000;
    assert(Math.abs(first - later - seconds) <= 1, `${first - later} of the TTL in ${seconds} s`);
  });

  test('every record of a chain counts down by itself from its own TTL', { skip: needs('dig') }, async () => {
    const { answer } = await ask(node, 'dig', { name: `one.${svc}`, type: 'A', over: 'tcp' });
    assert.equal(answer.length, 4);
    assert(answer.every(({ ttlSeconds }) => ttlSeconds > 0 && ttlSeconds <= 30));
  });

  describe('C libraries', { skip: needs('gcc', 'musl-gcc', 'getent', 'busybox') }, () => {
    let programs: Readonly<Record<Library, string>>;
    before(async () => {
      programs = await compileResolvers(node);
    });

    for (const library of libraries) {
      test(`${library} finds names through the search path, for every family`, async () => {
        const find = (family: 'unspec' | 'inet' | 'inet6', name: string): Promise<string[]> =>
          getaddrinfo(node, programs[library], family, name);
        assert.deepEqual(await find('unspec', 'web'), ['10.96.1.1']);
        assert.deepEqual(await find('inet', 'web'), ['10.96.1.1']);
        assert.deepEqual(await find('unspec', 'dual.default'), ['10.96.1.3', 'fd00::3']);
        assert.deepEqual(await find('inet', 'dual'), ['10.96.1.3']);
        assert.deepEqual(await find('inet6', 'dual'), ['fd00::3']);
        assert.deepEqual(await find('inet6', 'six'), ['fd00::6']);
        assert.deepEqual(await find('unspec', 'six'), ['fd00::6']);
        assert.deepEqual(await find('unspec', 'www.outside.test'), ['192.0.2.1', '2001:db8::1']);
        assert.deepEqual(await find('unspec', `one.${svc}`), ['10.96.1.1']);
        assert.deepEqual(await find('unspec', 'nobody'), ['error EAI_NONAME']);
        assert.match((await find('inet6', 'web')).join(), /^error EAI_(NODATA|NONAME)$/);
      });
    }

    test('musl, which before 1.2.4 does not ask again over TCP, gets as many of 40 addresses as 512 bytes hold', async () => {
      const found = await getaddrinfo(node, programs.musl, 'inet', `forty.${svc}`);
      const forty = addresses.slice(0, 40);
      assert(found.every((address) => forty.includes(address)));
      const room = 512 - 12 - (`forty.${svc}`.length + 1 + 4);
      assert(found.length >= Math.floor(room / 16), `${found.length}`);
    });

    test('glibc asks again over TCP for what does not fit', async () => {
      assert.deepEqual(await getaddrinfo(node, programs.glibc, 'inet', `forty.${svc}`), addresses.slice(0, 40).sort());
      assert.deepEqual(await getaddrinfo(node, programs.glibc, 'inet', `many.${svc}`), [...addresses].sort());
    });

    test('getent', async () => {
      assert.deepEqual(await getent(node, 'ahostsv4', 'web'), ['10.96.1.1']);
      assert.deepEqual(await getent(node, 'hosts', 'web'), ['10.96.1.1']);
      assert.deepEqual(await getent(node, 'hosts', 'dual'), ['fd00::3']);
      assert.deepEqual(await getent(node, 'hosts', '10.96.1.1'), ['10.96.1.1']);
      assert.deepEqual(await getent(node, 'ahostsv4', 'nobody'), []);
    });

    test('BusyBox nslookup', async () => {
      assert.deepEqual(await busyboxNslookup(node, `web.${svc}`), { status: 0, addresses: ['10.96.1.1'] });
      assert.deepEqual(await busyboxNslookup(node, `dual.${svc}`), { status: 0, addresses: ['10.96.1.3', 'fd00::3'] });
      assert.deepEqual(await busyboxNslookup(node, `nobody.${svc}`), { status: 1, addresses: [] });
    });
  });

  async function assertWhole(program: (typeof queryPrograms)[number], question: Question, data: string[]) {
    const answer = await ask(node, program, question);
    const what = `${program} ${question.name} over ${question.over}`;
    assert.equal(answer.flags.includes('tc'), false, what);
    assert.deepEqual(dataOf(answer.answer), [...data].sort(), what);
  }

  async function assertCut(program: (typeof queryPrograms)[number], question: Question, data: string[]) {
    const answer = await ask(node, program, question);
    const what = `${program} ${question.name} over ${question.over}`;
    assert.equal(answer.flags.includes('tc'), true, what);
    assert(answer.answer.length < data.length, what);
    assert(
      dataOf(answer.answer).every((address) => data.includes(address)),
      what,
    );
  }
});

/** A denial carries its SOA, whose TTL is at most the zone's MINIMUM (RFC 2308 5). */
function assertDenial({ authority }: Answer, what: string): void {
  assert.deepEqual(
    authority.map(({ type }) => type),
    ['SOA'],
    what,
  );
  assert(authority[0].ttlSeconds <= 5, what);
}
