/**
 * Walks along the search path of a pod, before the whole program: which names are asked about besides what clients ask,
 * what that saves the next walk, and what is asked ahead of a client.
 */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { Answer } from 'dns-packet';
import { extraQuestionsBurst } from '../../src/limits.js';
import { clusterDns, newWorld, outsideDns, type World } from './world.js';

const block = (zone: string, to: string, lines = '') =>
  `${zone} {\n bind 169.254.20.10\n prometheus 127.0.0.1:9153\n errors\n cache {\n success 9984 30\n denial 9984 5\n }\n ${lines}\n forward . ${to}\n}\n`;
const corefileWith = (lines = '', outsideLines = '') =>
  block('cluster.local', clusterDns.address, lines) + block('.', outsideDns.address, outsideLines);

function soaOf(ttl = 5): Answer[] {
  const numbers = { serial: 1, refresh: 7200, retry: 1800, expire: 86400, minimum: ttl };
  const data = { mname: 'ns.dns.cluster.local', rname: 'hostmaster.cluster.local', ...numbers };
  return [{ name: 'cluster.local', type: 'SOA', class: 'IN', ttl, data }];
}

interface Cluster extends World {
  /** Names below the cluster domain that exist, with an address or without. */
  readonly services: Set<string>;
  /** Names that reached the cluster DNS, without the domain, in order. */
  asked(): string[];
  walk(name: string, namespace?: string, type?: string): Promise<string[]>;
  metric(name: string, labels?: string): Promise<number>;
}

async function newCluster(corefile = corefileWith()): Promise<Cluster> {
  const world = await newWorld({ corefile });
  const services = new Set(['svc', 'pod', 'default.svc', 'other.svc', 'web.default.svc', 'web.other.svc']);
  world.upstream.on(({ name, type, question }) => {
    const own = name.slice(0, -'.cluster.local.'.length);
    if (!services.has(own)) return { rcode: 3, authorities: soaOf() };
    if (own.split('.').length < 3 || type !== 'A') return { authorities: soaOf() };
    return { answers: [{ name: question.name, type: 'A', class: 'IN', ttl: 5, data: '10.96.0.80' }] };
  });
  world.upstream.after(4);
  world.outside.after(4);
  world.outside.on(({ question, type }) => ({
    answers: type === 'A' ? [{ name: question.name, type: 'A', class: 'IN', ttl: 30, data: '192.0.2.80' }] : [],
  }));
  return {
    ...world,
    services,
    asked: () =>
      world.upstream.questions
        .map(({ name }) => name)
        .filter((name) => name.endsWith('.cluster.local.'))
        .map((name) => name.slice(0, -'.cluster.local.'.length)),
    async walk(name, namespace = 'default', type = 'A') {
      for (const domain of [`${namespace}.svc.cluster.local.`, 'svc.cluster.local.', 'cluster.local.', '']) {
        const answer = await world.asks(domain === '' ? `${name}.` : `${name}.${domain}`, type);
        if (answer.data.length > 0) return [`${name}.${domain}`, ...answer.data.map(String)];
      }
      return [];
    },
    async metric(name, labels = '') {
      await world.passSeconds(2);
      const { body } = await world.get('127.0.0.1:9153', '/metrics');
      const line = String(body)
        .split('\n')
        .find((each) => each.startsWith(`${name}${labels}`));
      return Number(line?.split(' ').at(-1));
    },
  };
}

describe('the first walk to a name', () => {
  it('makes zerohop ask once for what denies the next ones, the highest name that does not exist', async () => {
    const cluster = await newCluster();
    assert.deepEqual(await cluster.walk('www.a.com'), ['www.a.com.', '192.0.2.80']);
    await cluster.pass(20);
    assert.deepEqual(
      cluster
        .asked()
        .filter((name) => !name.startsWith('www'))
        .sort(),
      ['com', 'com.default.svc', 'com.svc', 'default.svc'],
    );
    await cluster.stop();
  });

  it('spares the next walks all questions to the cluster DNS, in every namespace that was walked from', async () => {
    const cluster = await newCluster();
    await cluster.walk('www.a.com');
    await cluster.pass(20);
    const before = cluster.asked().length;
    for (const name of ['www.b.com', 'c.com', 'x.y.z.com']) {
      assert.deepEqual(await cluster.walk(name), [`${name}.`, '192.0.2.80']);
    }
    assert.equal(cluster.asked().length, before);
    await cluster.walk('www.d.com', 'other');
    await cluster.pass(20);
    assert.deepEqual(cluster.asked().slice(before), ['www.d.com.other.svc', 'com.other.svc']);
    await cluster.stop();
  });

  it('is not learned from where the block has nxdomain_cut off', async () => {
    const cluster = await newCluster(corefileWith('nxdomain_cut off'));
    await cluster.walk('www.a.com');
    await cluster.pass(20);
    assert.deepEqual(cluster.asked(), ['www.a.com.default.svc', 'www.a.com.svc', 'www.a.com']);
    await cluster.stop();
  });
});

describe('a learned cut', () => {
  it('ends with its TTL where it is hardly used: a service created meanwhile is seen then', async () => {
    const cluster = await newCluster();
    await cluster.walk('www.a.com');
    await cluster.pass(20);
    for (const name of ['com.default.svc', 'pod-0.com.default.svc']) cluster.services.add(name);
    const asks = () => cluster.asks('pod-0.com.default.svc.cluster.local.', 'A');
    assert.equal((await asks()).rcode, 'NXDOMAIN');
    await cluster.passSeconds(5);
    assert.deepEqual((await asks()).data, ['10.96.0.80']);
    await cluster.stop();
  });

  it('is refreshed before it ends where it is used, so that walks go on without questions', async () => {
    const cluster = await newCluster();
    await cluster.walk('www.a.com');
    for (let second = 0; second < 12; second++) {
      await cluster.pass(1_000);
      await cluster.walk(`www.b${second}.com`);
    }
    const walked = cluster.asked().filter((name) => name.startsWith('www.b'));
    assert.deepEqual(walked, []);
    assert.ok((await cluster.metric('zerohop_nxdomain_cut_queries_total', '{reason="in_use"}')) >= 3);
    await cluster.stop();
  });

  it('that is refreshed shows a service created meanwhile no later than the TTL says', async () => {
    const cluster = await newCluster();
    await cluster.walk('www.a.com');
    await cluster.pass(20);
    for (const name of ['com.default.svc', 'pod-0.com.default.svc']) cluster.services.add(name);
    const sinceMs = cluster.clock.nowMs();
    let seenAfterMs = Number.NaN;
    for (let tries = 0; tries < 100 && Number.isNaN(seenAfterMs); tries++) {
      await cluster.pass(100);
      const { data } = await cluster.asks('pod-0.com.default.svc.cluster.local.', 'A');
      if (data.length > 0) seenAfterMs = cluster.clock.nowMs() - sinceMs;
    }
    assert.ok(seenAfterMs <= 5_100, `${seenAfterMs} ms`);
    await cluster.stop();
  });

  it('is let go after some refreshes, so that a wrong one is not for ever', async () => {
    const cluster = await newCluster();
    await cluster.walk('www.a.com');
    for (let second = 0; second < 90; second++) {
      await cluster.pass(1_000);
      for (const name of ['x', 'y']) await cluster.asks(`${name}${second}.com.default.svc.cluster.local.`, 'A');
    }
    const asked = cluster.asked().filter((name) => /^[xy]\d+\.com\.default/.test(name));
    assert.ok(asked.length >= 1 && asked.length <= 4, `${asked}`);
    await cluster.stop();
  });

  it('is not made of what the cluster DNS denies while it has names below, by rules of its own', async () => {
    const cluster = await newCluster();
    cluster.services.add('prod.svc');
    for (const name of ['web.prod', 'web.legacy']) cluster.services.add(name).add(`x.${name}`);
    // `legacy` is no namespace; a name below is known.
    await cluster.asks('x.web.legacy.cluster.local.', 'A');
    for (const name of ['missing.prod', 'missing.legacy']) {
      await cluster.asks(`${name}.svc.cluster.local.`, 'A');
      await cluster.asks(`${name}.cluster.local.`, 'A');
      await cluster.pass(20);
    }
    assert.deepEqual(
      cluster.asked().filter((name) => ['prod', 'legacy'].includes(name)),
      [],
    );
    assert.deepEqual((await cluster.asks('x.web.prod.cluster.local.', 'A')).data, ['10.96.0.80']);
    await cluster.stop();
  });

  it('is asked for within a budget', async () => {
    const cluster = await newCluster();
    const names = Array.from({ length: 4 * extraQuestionsBurst }, (_, index) => `a.t${index}.svc.cluster.local.`);
    for (const name of names) await cluster.asks(name, 'A');
    await cluster.pass(20);
    const extra = cluster.asked().filter((name) => !name.startsWith('a.')).length;
    assert.ok(extra <= 2 * extraQuestionsBurst, `${extra}`);
    assert.ok((await cluster.metric('zerohop_nxdomain_cut_queries_denied_total')) > 0);
    await cluster.stop();
  });

  it('is forgotten by a reload, and what was asked for it is used', async () => {
    const cluster = await newCluster();
    await cluster.walk('www.a.com');
    await cluster.pass(20);
    const before = cluster.asked().length;
    await cluster.reload(corefileWith('minimal'));
    await cluster.walk('www.b.com');
    assert.equal(cluster.asked().filter((name) => name.startsWith('www.b')).length, 0);
    assert.equal(cluster.asked().length, before);
    await cluster.stop();
  });
});

describe('the last question of a walk', () => {
  /** A world in which `com` is known to be denied everywhere. */
  const walked = async (corefile = corefileWith()): Promise<Cluster> => {
    const cluster = await newCluster(corefile);
    await cluster.walk('www.a.com');
    await cluster.pass(20);
    return cluster;
  };
  /** Without our probes for the root. */
  const outsideNames = (cluster: Cluster) =>
    cluster.outside.questions.map(({ name }) => name).filter((name) => name !== '.');
  const times = (cluster: Cluster, name: string) => cluster.outside.asked(name);

  it('is asked as soon as the first one is answered, and the client that comes to it is joined', async () => {
    const cluster = await walked();
    await cluster.asks('www.b.com.default.svc.cluster.local.', 'A');
    await cluster.pass(1);
    assert.equal(times(cluster, 'www.b.com.'), 1);
    const answer = await cluster.asks('www.b.com.', 'A');
    assert.deepEqual([answer.data, times(cluster, 'www.b.com.')], [['192.0.2.80'], 1]);
    assert.equal(await cluster.metric('zerohop_walks_ahead_total', '{outcome="asked"}'), 1);
    assert.equal(await cluster.metric('zerohop_walks_ahead_total', '{outcome="used"}'), 1);
    await cluster.stop();
  });

  it('is answered from the cache where the client comes later, and is in vain where it never comes', async () => {
    const cluster = await walked();
    for (const name of ['www.b.com.', 'www.c.com.']) await cluster.asks(`${name}default.svc.cluster.local.`, 'A');
    await cluster.pass(50);
    await cluster.asks('www.b.com.', 'A');
    assert.equal(times(cluster, 'www.b.com.'), 1);
    await cluster.passSeconds(6);
    assert.equal(await cluster.metric('zerohop_walks_ahead_total', '{outcome="used"}'), 1);
    assert.equal(await cluster.metric('zerohop_walks_ahead_total', '{outcome="in_vain"}'), 1);
    await cluster.stop();
  });

  it('is not asked for a name that another step of the walk may find', async () => {
    const cluster = await walked();
    for (const name of ['web.other.', 'web.default.svc.', 'a.svc.']) {
      await cluster.asks(`${name}default.svc.cluster.local.`, 'A');
    }
    await cluster.pass(50);
    assert.deepEqual(await cluster.walk('web.other'), ['web.other.svc.cluster.local.', '10.96.0.80']);
    await cluster.pass(50);
    assert.deepEqual(outsideNames(cluster), ['www.a.com.']);
    await cluster.stop();
  });

  it('is not asked while it is unknown whether the steps between are denied', async () => {
    const cluster = await newCluster();
    await cluster.asks('www.b.com.default.svc.cluster.local.', 'A');
    await cluster.pass(50);
    assert.equal(times(cluster, 'www.b.com.'), 0);
    await cluster.stop();
  });

  it('is not asked again while it is cached', async () => {
    const cluster = await walked();
    await cluster.asks('www.a.com.other.svc.cluster.local.', 'A');
    await cluster.pass(50);
    assert.equal(times(cluster, 'www.a.com.'), 1);
    await cluster.stop();
  });

  it('has the type of the first: AAAA only where it is forwarded', async () => {
    for (const [lines, count] of [
      ['', 1],
      ['aaaa nodata', 0],
    ] as const) {
      const cluster = await walked(corefileWith('', lines));
      await cluster.asks('www.b.com.default.svc.cluster.local.', 'AAAA');
      await cluster.pass(50);
      assert.equal(cluster.outside.asked('www.b.com.', 'AAAA'), count);
      assert.equal(cluster.outside.asked('www.b.com.', 'A'), 0);
      await cluster.stop();
    }
  });

  it('is not asked for names with an underscore, for other types, or with DO or CD', async () => {
    const cluster = await walked();
    await cluster.asks('_ldap.b.com.default.svc.cluster.local.', 'A');
    await cluster.asks('www.c.com.default.svc.cluster.local.', 'SRV');
    await cluster.asks('www.d.com.default.svc.cluster.local.', 'A', { edns: { dnssecOk: true } });
    await cluster.pass(50);
    assert.deepEqual(outsideNames(cluster), ['www.a.com.']);
    await cluster.stop();
  });

  it('is not asked where a directive of its block changes names or makes answers', async () => {
    const cluster = await walked(corefileWith('', 'rewrite name exact x.test y.test'));
    await cluster.asks('www.b.com.default.svc.cluster.local.', 'A');
    await cluster.pass(50);
    assert.equal(times(cluster, 'www.b.com.'), 0);
    await cluster.stop();
  });
});
