/**
 * `autopath` as the resolvers of glibc and musl see it, with a pod's search path: one question each for A and AAAA finds
 * a name that took eight.
 */
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { ask, compileResolvers, getaddrinfo } from './clients.js';
import { clusterAddress, localAddress, makeNode, type Node, podResolvConf } from './cluster-node.js';
import { needs } from './commands.js';
import { type Knot, startKnot } from './knot.js';
import { metric, startZerohop, type Zerohop } from './zerohop.js';

const corefile = (resolvConf: string) => `.:53 {
    bind ${localAddress}
    errors
    prometheus :9253
    ready :8181
    cache 30
    autopath ${resolvConf}
    forward . ${clusterAddress} {
        force_tcp
    }
}
`;

describe('autopath', { skip: needs('root', 'ip', 'knotd', 'knotc', 'dig', 'curl', 'gcc', 'musl-gcc') }, () => {
  let node: Node;
  let knot: Knot;
  let zerohop: Zerohop;

  before(async () => {
    node = await makeNode();
    knot = await startKnot(node);
    const file = join(node.folder, 'pods.conf');
    writeFileSync(file, podResolvConf);
    zerohop = await startZerohop(node, corefile(file));
  });
  after(async () => {
    await zerohop?.stop();
    await knot?.stop();
    node?.remove();
  });

  const asked = (type: string) =>
    metric(
      node,
      `coredns_dns_requests_total{server="dns://${localAddress}:53",zone=".",view="",proto="udp",family="1",type="${type}"}`,
    );

  it('a name outside the cluster is found by the first question, for both families', async () => {
    const questions: Record<string, number> = {};
    for (const [library, program] of Object.entries(await compileResolvers(node))) {
      const before = (await asked('A')) || 0;
      assert.deepEqual(await getaddrinfo(node, program, 'unspec', 'www.outside.test'), ['192.0.2.1', '2001:db8::1']);
      questions[library] = (await asked('A')) - before;
    }
    assert.deepEqual(questions, { glibc: 1, musl: 1 });
    const found = await metric(node, `coredns_autopath_success_total{server="dns://${localAddress}:53"}`);
    assert.equal(found, 2, 'one for A, one for AAAA; the rest came from the cache');
  });

  it('a name with A alone has no AAAA, and is not denied', async () => {
    for (const program of Object.values(await compileResolvers(node))) {
      assert.deepEqual(await getaddrinfo(node, program, 'unspec', 'four.outside.test'), ['192.0.2.4']);
    }
  });

  it('names of the cluster are found as they were, and what is nowhere is nowhere', async () => {
    for (const program of Object.values(await compileResolvers(node))) {
      assert.deepEqual(await getaddrinfo(node, program, 'inet', 'web'), ['10.96.1.1']);
      assert.match((await getaddrinfo(node, program, 'inet', 'gone.outside.test'))[0], /^error EAI_NONAME/u);
    }
  });

  it('dig sees the alias, over UDP and TCP', async () => {
    for (const over of ['udp', 'tcp'] as const) {
      const name = 'www.outside.test.default.svc.cluster.local.';
      const { answer } = await ask(node, 'dig', { name, type: 'A', over });
      assert.deepEqual(
        answer.map(({ owner, type, data }) => [owner, type, data]),
        [
          [name, 'CNAME', 'www.outside.test.'],
          ['www.outside.test.', 'A', '192.0.2.1'],
        ],
      );
    }
  });
});
