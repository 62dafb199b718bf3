/**
 * The four ways to answer AAAA, each proven with the resolvers that containers have: glibc, musl, BusyBox. NXDOMAIN
 * for a name that exists breaks the latter two; that is why zerohop says so when it is asked to.
 */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { ask, busyboxNslookup, compileResolvers, getaddrinfo, type Library } from './clients.js';
import { makeNode, type Node } from './cluster-node.js';
import { needs } from './commands.js';
import { type Knot, startKnot } from './knot.js';
import { nodeLocalCorefile, startZerohop, type Zerohop } from './zerohop.js';

const svc = 'default.svc.cluster.local.';
const skip = needs('root', 'ip', 'knotd', 'knotc', 'dig', 'gcc', 'musl-gcc', 'busybox');

describe('AAAA', { skip }, () => {
  let node: Node;
  let knot: Knot;
  let programs: Readonly<Record<Library, string>>;

  before(async () => {
    node = await makeNode();
    knot = await startKnot(node);
    programs = await compileResolvers(node);
  });
  after(async () => {
    await knot?.stop();
    node?.remove();
  });

  /** Runs zerohop with these lines in every block while `work` asks it. */
  async function whileServing(lines: string, work: (zerohop: Zerohop) => Promise<void>): Promise<void> {
    const zerohop = await startZerohop(node, nodeLocalCorefile({ everywhere: lines }));
    try {
      await work(zerohop);
    } finally {
      await zerohop.stop();
    }
  }

  async function askAaaa(name: string): Promise<{ rcode: string; answers: string[]; authority: string[] }> {
    const { rcode, answer, authority } = await ask(node, 'dig', { name, type: 'AAAA', over: 'udp' });
    return {
      rcode,
      answers: answer.map((record) => record.data),
      authority: authority.map(({ owner, type }) => `${owner} ${type}`),
    };
  }

  /** AAAA questions that Knot has seen. */
  async function aaaaAsked(): Promise<number> {
    return (await knot.counted()).types.get('AAAA') ?? 0;
  }

  const nxdomainSpellings = {
    'aaaa nxdomain': 'aaaa nxdomain',
    'the template that means the same': 'template ANY AAAA {\n        rcode NXDOMAIN\n    }',
  };
  for (const [words, lines] of Object.entries(nxdomainSpellings)) {
    test(`${words}: NXDOMAIN with a SOA, nothing asked upstream, one warning that names the remedy`, async () => {
      await whileServing(lines, async (zerohop) => {
        const earlier = await aaaaAsked();
        const denied = { rcode: 'NXDOMAIN', answers: [] };
        assert.deepEqual(await askAaaa(`dual.${svc}`), { ...denied, authority: ['cluster.local. SOA'] });
        assert.deepEqual(await askAaaa('www.outside.test.'), { ...denied, authority: ['. SOA'] });
        assert.equal(await aaaaAsked(), earlier);

        const a = await ask(node, 'dig', { name: `dual.${svc}`, type: 'A', over: 'udp' });
        assert.deepEqual([a.rcode, a.answer.length], ['NOERROR', 1]);
        const warning = await zerohop.logged(/aaaa/i);
        assert.match(JSON.stringify(warning), /nodata|smart/);
        assert.equal(
          zerohop.log().filter(({ msg }) => /AAAA.*NXDOMAIN|NXDOMAIN.*AAAA|aaaa nxdomain/i.test(msg)).length,
          1,
        );

        assert.deepEqual(await getaddrinfo(node, programs.glibc, 'unspec', `dual.${svc}`), ['10.96.1.3']);
        assert.deepEqual(await getaddrinfo(node, programs.glibc, 'inet', 'web'), ['10.96.1.1']);
        assert.deepEqual(await getaddrinfo(node, programs.musl, 'inet', 'web'), ['10.96.1.1']);
        // What the warning is about: the A record is there, and these two do not take it.
        assert.deepEqual(await getaddrinfo(node, programs.musl, 'unspec', `web.${svc}`), ['error EAI_NONAME']);
        assert.equal((await busyboxNslookup(node, `web.${svc}`)).status, 1);
        assert.equal(await aaaaAsked(), earlier);
      });
    });
  }

  test('aaaa nodata: NOERROR without records, nothing asked upstream, every resolver finds the A record', async () => {
    await whileServing('aaaa nodata', async () => {
      const earlier = await aaaaAsked();
      const nodata = { rcode: 'NOERROR', answers: [], authority: ['cluster.local. SOA'] };
      assert.deepEqual(await askAaaa(`dual.${svc}`), nodata);
      assert.deepEqual(await askAaaa(`nobody.${svc}`), nodata);
      await assertResolversFindTheAddress();
      assert.equal(await aaaaAsked(), earlier);
    });
  });

  test('aaaa smart: NXDOMAIN only for a name without A as well, every resolver finds the A record', async () => {
    await whileServing('aaaa smart', async () => {
      const earlier = await aaaaAsked();
      assert.deepEqual(await askAaaa(`dual.${svc}`), {
        rcode: 'NOERROR',
        answers: [],
        authority: ['cluster.local. SOA'],
      });
      assert.deepEqual(await askAaaa(`nobody.${svc}`), {
        rcode: 'NXDOMAIN',
        answers: [],
        authority: ['cluster.local. SOA'],
      });
      await assertResolversFindTheAddress();
      assert.equal(await aaaaAsked(), earlier);
    });
  });

  for (const [words, lines] of Object.entries({ 'aaaa forward': 'aaaa forward', 'no directive': '' })) {
    test(`${words}: AAAA is asked upstream like any type`, async () => {
      await whileServing(lines, async (zerohop) => {
        assert.deepEqual(await askAaaa(`dual.${svc}`), { rcode: 'NOERROR', answers: ['fd00::3'], authority: [] });
        for (const program of [programs.glibc, programs.musl]) {
          assert.deepEqual(await getaddrinfo(node, program, 'unspec', 'dual'), ['10.96.1.3', 'fd00::3']);
          assert.deepEqual(await getaddrinfo(node, program, 'unspec', 'web'), ['10.96.1.1']);
          assert.deepEqual(await getaddrinfo(node, program, 'inet6', 'six'), ['fd00::6']);
        }
        assert.deepEqual(await busyboxNslookup(node, `dual.${svc}`), {
          status: 0,
          addresses: ['10.96.1.3', 'fd00::3'],
        });
        assert.deepEqual(
          zerohop.log().filter(({ msg }) => /nxdomain/i.test(msg)),
          [],
        );
      });
    });
  }

  async function assertResolversFindTheAddress(): Promise<void> {
    for (const program of [programs.glibc, programs.musl]) {
      assert.deepEqual(await getaddrinfo(node, program, 'unspec', 'web'), ['10.96.1.1']);
      assert.deepEqual(await getaddrinfo(node, program, 'unspec', `dual.${svc}`), ['10.96.1.3']);
      assert.deepEqual(await getaddrinfo(node, program, 'unspec', 'nobody'), ['error EAI_NONAME']);
      assert.match((await getaddrinfo(node, program, 'inet6', 'dual')).join(), /^error EAI_(NODATA|NONAME)$/);
    }
    assert.deepEqual(await busyboxNslookup(node, `web.${svc}`), { status: 0, addresses: ['10.96.1.1'] });
  }
});
