import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { kindDenial, kindSuccess } from '../../src/cache/blocks.js';
import { parseConfig } from '../../src/config/load.js';
import { type ExplainItem, explainItems, explainText, readExplain, searchedNames } from '../../src/control/explain.js';
import type { ControlError } from '../../src/control/protocol.js';
import { forwardOf, prospectOf, type Serving, wireQuestion } from '../../src/control/serving.js';
import { rcodeNxDomain } from '../../src/dns/wire.js';
import { answerFor } from '../cache/answers.js';
import { fixture, loadOptions } from '../resolve/context-fixture.js';

const corefile = `cluster.local {
    cache
    aaaa nxdomain
    forward . 10.96.0.10
}
. {
    cache {
        serve_stale 1h immediate
    }
    forward example 192.0.2.1 {
        except out.example
    }
}
`;

function explainItem(...given: Parameters<typeof explainItems>): ExplainItem {
  const items = explainItems(...given);
  assert.equal(items.length, 1);
  return items[0];
}

function newServing(text = corefile) {
  const { cache, store, listener, zone } = fixture(text);
  const { blocks } = parseConfig(text, 'Corefile', loadOptions);
  const serving = (nowMs: number): Serving => ({
    listeners: [listener],
    blocks: blocks.map((config) => ({ config, store, forwards: { states: () => [] } })),
    cached: cache.blocks,
    nowMs,
  });
  return { cache, store, listener, zone, serving };
}

describe('a walk', () => {
  test('has a step that a cut answers, for as long as the denial above it is fresh', () => {
    const { cache, store, zone, serving } = newServing();
    const { zoneId } = zone('cluster.local.');
    const keep = answerFor('com.default.svc.cluster.local', { zoneId, kind: kindDenial });
    keep.message[3] |= rcodeNxDomain;
    cache.keep(store, keep, 0);
    const wanted = { name: 'www.example.com', search: ['default.svc.cluster.local.'], ndots: 5 };
    const firstAt = (nowMs: number) => explainItem(serving(nowMs), wanted).steps[0].questions[0];
    const [first, later] = [firstAt(0), firstAt(3_600_000)];
    assert.deepEqual([first.outlook, first.known, first.rcode], ['cut', 'no name', 'NXDOMAIN']);
    assert.ok(first.ttlSeconds! > 0);
    assert.deepEqual([later.outlook, later.known, later.rcode], ['upstream', 'unknown', null]);
    const asked = [0, 3_600_000].map((nowMs) => explainItem(serving(nowMs), wanted).cost.upstreamQueries.most);
    assert.deepEqual(asked, [0, 1]);
    assert.match(explainText(explainItem(serving(0), wanted), { isColored: false }), /A +cut +NXDOMAIN +\d+ s left/);
  });

  test('has no cut for a name that the kernel lane has given: that one is asked for itself again', () => {
    const { cache, store, zone, serving } = newServing();
    const { zoneId } = zone('cluster.local.');
    cache.blocks.firstHits = { add() {} };
    const wanted = { name: 'www.example.com', search: ['default.svc.cluster.local.'], ndots: 5 };
    const ownName = 'www.example.com.default.svc.cluster.local';
    const denialOf = (name: string) => {
      const denial = answerFor(name, { zoneId, kind: kindDenial });
      denial.message[3] |= rcodeNxDomain;
      return denial;
    };
    const own = cache.keep(store, denialOf(ownName), 0);
    const nowMs = cache.blocks.expiresAtMs(own) + 1;
    cache.keep(store, denialOf('com.default.svc.cluster.local'), nowMs);
    const outlook = () => explainItem(serving(nowMs), wanted).steps[0].questions[0].outlook;
    assert.equal(outlook(), 'cut');
    Object.assign(zone('cluster.local.'), { isForKernel: true });
    cache.blocks.markForKernel(own);
    assert.equal(outlook(), 'upstream');
  });
});

describe('the names that a pod asks for', () => {
  const search = ['a.test.', 'b.test.'];

  test('are in the order of glibc', () => {
    const names = (name: string, ndots: number, domains = search) => searchedNames({ name, search: domains, ndots });
    assert.deepEqual(names('x', 1), ['x.a.test.', 'x.b.test.', 'x.']);
    assert.deepEqual(names('x.y', 1), ['x.y.', 'x.y.a.test.', 'x.y.b.test.']);
    assert.deepEqual(names('x.y', 2), ['x.y.a.test.', 'x.y.b.test.', 'x.y.']);
    assert.deepEqual(names('x.y.', 5), ['x.y.']);
    assert.deepEqual(names('x', 5, ['.']), ['x.']);
    assert.deepEqual(names('x\\.y', 1), ['x\\.y.a.test.', 'x\\.y.b.test.', 'x\\.y.'], 'an escaped dot is none');
  });

  test('are left out where they are too long', () => {
    const { serving } = newServing();
    const name = Array.from({ length: 4 }, () => 'x'.repeat(60)).join('.');
    const { steps } = explainItem(serving(0), { name, search: ['default.svc.cluster.local.'], ndots: 5 });
    assert.deepEqual(
      steps.map((step) => step.name),
      [`${name}.`],
    );
  });
});

test('a walk ends at the first name that exists, and the advice names it', () => {
  const { serving, cache, store, zone } = newServing();
  const { zoneId } = zone('cluster.local.');
  cache.keep(store, answerFor('db.prod.a.cluster.local', { zoneId, kind: kindDenial }), 0);
  cache.keep(store, answerFor('db.prod.svc.cluster.local', { zoneId, kind: kindSuccess }), 0);
  const wanted = { name: 'db.prod', search: ['a.cluster.local.', 'svc.cluster.local.', 'cluster.local.'], ndots: 5 };
  const item = explainItem(serving(1), wanted);
  assert.deepEqual(
    item.steps.map(({ isReached }) => isReached),
    ['yes', 'yes', 'no', 'no'],
  );
  assert.equal(item.found, 'db.prod.svc.cluster.local.');
  assert.deepEqual(item.cost.queries, { least: 4, most: 4 });
  assert.deepEqual(item.advice, [
    'Write the whole name, db.prod.svc.cluster.local. with its closing dot: 2 queries instead of 4.',
  ]);
  const text = explainText(item, { isColored: false });
  assert.match(text, / 3\. db\.prod\.cluster\.local\. \(not reached\)\n 4\. db\.prod\. \(not reached\)\n/);
  const first = explainItem(serving(1), { ...wanted, search: ['svc.cluster.local.'] });
  assert.deepEqual(first.advice, ['Nothing to save: the first name is the one.']);
});

test('where nobody knows which name exists, the advice names none, and no lower ndots', () => {
  const { serving, cache, store, zone } = newServing();
  const wanted = { name: 'www.example', search: ['cluster.local.'], ndots: 5 };
  assert.deepEqual(explainItem(serving(0), wanted).advice, [
    'Write the name that exists with a closing dot, www.example. for example: 2 queries instead of 4 at most.',
    'The cache does not know now which of them exists; zerohop lookup -ask NAME asks.',
  ]);
  cache.keep(store, answerFor('www.example', { zoneId: zone('.').zoneId }), 0);
  assert.deepEqual(explainItem(serving(1), wanted).advice, [
    'Write the name with a closing dot, www.example.: 2 queries instead of 4.',
    'Or set the option ndots of the pod to 1 (dnsConfig): the name itself comes first then.',
  ]);
});

test('names of packets steer no terminal', () => {
  const { serving } = newServing();
  const text = explainText(explainItem(serving(0), { name: 'a\x1b[31m', search: [], ndots: 5 }), { isColored: false });
  assert.ok(!text.includes('\x1b'), text);
});

test('the outlook is what the cache would do', () => {
  const { serving, cache, store, zone, listener } = newServing();
  const prospect = (name: string, type: number, nowMs: number) => {
    const { outlook, known } = prospectOf(serving(nowMs), listener.table, wireQuestion(name, type)!, 0);
    return [outlook, known];
  };
  assert.deepEqual(prospect('x.cluster.local.', 28, 0), ['policy', 'no name']);
  assert.deepEqual(prospect('x.example.', 1, 0), ['upstream', 'unknown']);
  assert.deepEqual(prospect('out.example.', 1, 0), ['plugins', 'unknown']);
  cache.keep(store, answerFor('x.example', { zoneId: zone('.').zoneId, lifetimeMs: 10_000 }), 0);
  assert.deepEqual(prospect('x.example.', 1, 5_000), ['cache', 'exists']);
  assert.deepEqual(prospect('X.example.', 1, 11_000), ['stale', 'exists']);
  assert.deepEqual(prospect('x.example.', 1, 11_000 + 3_600_000), ['upstream', 'unknown']);
  const [, root] = serving(0).blocks;
  assert.equal(forwardOf(root.config, wireQuestion('a.example.', 1)!)?.from, 'example.');
  const hosts = newServing(
    '. {\n    cache\n    template ANY ANY {\n        rcode NXDOMAIN\n    }\n    forward . 192.0.2.1\n}\n',
  );
  assert.equal(prospectOf(hosts.serving(0), hosts.listener.table, wireQuestion('a.', 1)!, 0).outlook, 'plugins');
  const only = newServing(corefile.slice(0, corefile.indexOf('. {')));
  const { outlook } = prospectOf(only.serving(0), only.listener.table, wireQuestion('a.test.', 1)!, 0);
  assert.equal(outlook, 'refused');
});

test('a smart policy knows as much as the cached A', () => {
  const smart = newServing('. {\n    cache\n    aaaa smart\n    forward . 192.0.2.1\n}\n');
  const outlook = (name: string) => {
    const question = wireQuestion(name, 28)!;
    return prospectOf(smart.serving(1), smart.listener.table, question, 0).outlook;
  };
  assert.equal(outlook('x.test.'), 'upstream');
  smart.cache.keep(smart.store, answerFor('x.test', { zoneId: smart.zone('.').zoneId }), 0);
  assert.equal(outlook('x.test.'), 'policy');
});

test('what is no walk is refused', () => {
  assert.deepEqual(readExplain({ name: 'A.test', search: ['B.'], ndots: 2 }), {
    name: 'a.test',
    search: ['b.'],
    ndots: 2,
  });
  for (const given of [{}, { name: 'a', search: 'b', ndots: 5 }, { name: 'a', search: [7], ndots: 5 }]) {
    assert.throws(
      () => readExplain(given),
      (error: ControlError) => error.kind === 'usage',
    );
  }
});

test('listeners with different walks have one each, those with the same one share it', () => {
  const { serving, listener } = newServing();
  const other = newServing('. {\n    forward . 192.0.2.1\n}\n').listener;
  const three = [listener, { ...other, server: 'dns://[::1]:53' }, { ...listener, server: 'dns://192.0.2.7:53' }];
  const items = explainItems({ ...serving(0), listeners: three }, { name: 'a.cluster.local.', search: [], ndots: 5 });
  assert.deepEqual(
    items.map(({ servers }) => servers),
    [[listener.server, 'dns://192.0.2.7:53'], ['dns://[::1]:53']],
  );
  assert.match(explainText(items[0], { isColored: false }), /asks for it at dns:\/\/.+, dns:\/\/192\.0\.2\.7:53/u);
  const nowhere = explainItems({ ...serving(0), listeners: [] }, { name: 'a', search: [], ndots: 5 });
  assert.deepEqual([nowhere.length, nowhere[0].servers], [1, []]);
});
