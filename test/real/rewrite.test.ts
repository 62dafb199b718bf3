/**
 * `rewrite` and `header` as clients see them: dig and getaddrinfo ask zerohop, which asks a real Knot for other names, types and with
 * options of ours.
 */
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { ask, compileResolvers, dataOf, getaddrinfo, type Question } from './clients.js';
import { clusterAddress, localAddress, makeNode, type Node } from './cluster-node.js';
import { needs } from './commands.js';
import { type Knot, startKnot } from './knot.js';
import { startZerohop, type Zerohop } from './zerohop.js';

const corefile = `.:53 {
    bind ${localAddress}
    errors
    ready :8181
    cache 30
    rewrite continue ttl suffix .old.test 7
    rewrite name exact red.old.test web.default.svc.cluster.local
    rewrite name suffix .old.test .default.svc.cluster.local answer auto
    rewrite stop {
        name regex (.*)-(default)\\.shop\\.test {1}.{2}.svc.cluster.local
        answer name (.*)\\.(default)\\.svc\\.cluster\\.local {1}-{2}.shop.test
    }
    rewrite type HINFO TXT
    rewrite rcode suffix .nowhere.test NXDOMAIN REFUSED
    rewrite cname exact two.default.svc.cluster.local dual.default.svc.cluster.local
    rewrite edns0 nsid set
    header {
        response set aa
        response clear rd
    }
    forward . ${clusterAddress} {
        force_tcp
    }
}
`;

describe('rewrite and header', {
  skip: needs('root', 'ip', 'knotd', 'knotc', 'dig', 'curl', 'gcc', 'musl-gcc'),
}, () => {
  let node: Node;
  let knot: Knot;
  let zerohop: Zerohop;

  before(async () => {
    node = await makeNode();
    knot = await startKnot(node);
    zerohop = await startZerohop(node, corefile);
  });
  after(async () => {
    await zerohop?.stop();
    await knot?.stop();
    node?.remove();
  });

  /** Asked twice: what upstreams say and what is kept are the same. */
  async function asked(name: string, type = 'A', over: Question['over'] = 'udp') {
    const first = await ask(node, 'dig', { name, type, over });
    const second = await ask(node, 'dig', { name, type, over });
    const inWords = ({ answer }: typeof first) =>
      answer.map((record) => `${record.owner} ${record.type} ${record.data}`).sort();
    assert.deepEqual(inWords(second), inWords(first));
    return {
      rcode: first.rcode,
      answer: inWords(first),
      ttls: first.answer.map(({ ttlSeconds }) => ttlSeconds),
      data: dataOf(first.answer),
    };
  }

  it('name: one for another, with the answer under the name that was asked', async () => {
    for (const over of ['udp', 'edns', 'tcp'] as const) {
      const { answer, ttls } = await asked('Red.old.test.', 'A', over);
      assert.deepEqual(answer, ['Red.old.test. A 10.96.1.1']);
      assert.ok(ttls.every((ttl) => ttl <= 7));
    }
  });

  it('name: a suffix, in every name of the answer', async () => {
    assert.deepEqual((await asked('_http._tcp.web.old.test.', 'SRV')).data, ['0 100 80 web.old.test.']);
    assert.deepEqual((await asked('three.old.test.')).answer, [
      'three.old.test. CNAME web.old.test.',
      'web.old.test. A 10.96.1.1',
    ]);
    assert.equal((await asked('gone.old.test.')).rcode, 'NXDOMAIN');
  });

  it('name: by a pattern, there and back', async () => {
    assert.deepEqual((await asked('web-default.shop.test.')).answer, ['web-default.shop.test. A 10.96.1.1']);
  });

  it('header: flags of every answer, from the cache too', async () => {
    for (const time of [1, 2]) {
      const { flags } = await ask(node, 'dig', { name: 'n1.old.test.', type: 'A', over: 'udp' });
      assert.deepEqual([...flags].sort(), ['aa', 'qr', 'ra'], `${time}`);
    }
  });

  it('type, rcode and cname', async () => {
    assert.deepEqual((await asked('web.default.svc.cluster.local.', 'HINFO')).answer.length, 1);
    assert.equal((await asked('a.nowhere.test.')).rcode, 'REFUSED');
    const { answer } = await asked('one.default.svc.cluster.local.');
    assert.deepEqual(answer, [
      'dual.default.svc.cluster.local. A 10.96.1.3',
      'one.default.svc.cluster.local. CNAME dual.default.svc.cluster.local.',
    ]);
  });

  it('is believed by the resolvers of glibc and musl', async () => {
    for (const program of Object.values(await compileResolvers(node))) {
      assert.deepEqual(await getaddrinfo(node, program, 'inet', 'red.old.test'), ['10.96.1.1']);
      assert.deepEqual(await getaddrinfo(node, program, 'unspec', 'dual.old.test'), ['10.96.1.3', 'fd00::3']);
    }
  });
});
