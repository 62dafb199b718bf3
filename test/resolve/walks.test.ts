import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { kindDenial } from '../../src/cache/blocks.js';
import { wireToName } from '../../src/dns/names.js';
import { Normaliser } from '../../src/dns/normalise.js';
import { Query, questionFor } from '../../src/dns/query.js';
import { askedAheadMax, askedAheadMs, extraQuestionsBurst, extraQuestionsPerSecondMax } from '../../src/limits.js';
import { ExtraQuestions } from '../../src/resolve/extra-questions.js';
import type { Route } from '../../src/resolve/route.js';
import { SearchDomains } from '../../src/resolve/search-domains.js';
import { Walks } from '../../src/resolve/walks.js';
import { mayAskAhead, zoneOfQuestion, zoneTable } from '../../src/resolve/zones.js';
import { hashKey } from '../dns/hash-key.js';
import { ManualClock } from '../simulation/clock.js';
import { fixture, query } from './context-fixture.js';
import { message, soa } from './waiting-fixture.js';

const typeA = 1;
const corefile = 'cluster.local {\n cache\n forward . 192.0.2.1\n}\n. {\n cache\n forward . 192.0.2.2\n}\n';

function walking(text = corefile, parts: Partial<Route> = {}) {
  const base = fixture(text);
  const zone = base.zone('cluster.local.');
  const root = base.zone('.');
  const clock = new ManualClock();
  const asked: string[] = [];
  const budget = new ExtraQuestions(extraQuestionsPerSecondMax);
  const homeOf = (question: Uint8Array) => zoneOfQuestion(base.listener.table, question, new Query());
  const route = { homeOf, plan: null, make: null, asksOurselves: false, ...parts } as Route;
  const domains = new SearchDomains();
  let existing = '';
  const walks = new Walks({
    ...{ clock, budget, blocks: base.context.blocks, counters: base.context.counters },
    ...{ domains, routes: { get: () => route } },
    exists: (_, question) => wireToName(question, 0) === existing,
    ask(_, question) {
      asked.push(wireToName(question, 0));
      return true;
    },
  });
  const normaliser = new Normaliser(hashKey());
  const keeps = (name: string, rcode: number, in_ = zone, kind: 0 | 1 = kindDenial) => {
    const question = Uint8Array.from(query(name, 'A').subarray(12));
    assert.ok(normaliser.read(message(question, { rcode, answers: [], authorities: soa(30) })));
    const key = { ...normaliser.out, kind, zoneId: in_.zoneId, key: 0, lifetimeMs: 30_000 };
    return base.cache.keep(base.store, key, clock.nowMs());
  };
  for (const name of ['com.svc.cluster.local', 'com.cluster.local']) keeps(name, 3);
  return {
    ...{ ...base, zone, root, clock, walks, budget, keeps },
    count: (event: 'walksSeen' | 'walksAskedAhead' | 'walksAheadUsed' | 'walksAheadInVain') =>
      base.context.counters.total(event),
    denied: (name: string, type = typeA) => walks.denied(zone, questionFor(`${name}.cluster.local.`, type)),
    asked: () => asked.splice(0),
    hasSearchDomain(name: string): void {
      domains.begun(zone, questionFor('www.any.com.', typeA), clock.nowMs());
      domains.denied(root, questionFor(`www.any.com.${name}`, typeA), clock.nowMs());
    },
    exists(name: string): void {
      existing = name;
    },
  };
}

describe('a walk', () => {
  it('is seen at its first step, and its last question is asked where cuts deny the steps between', () => {
    const world = walking();
    world.denied('www.A.com.default.svc');
    assert.deepEqual(world.asked(), ['www.A.com.']);
    for (const name of [
      'www.a.org.default.svc',
      'www.a.com.svc',
      'com.default.svc',
      'a.com',
      'a.tcp.b.com.default.svc',
    ]) {
      world.denied(name);
    }
    assert.deepEqual(world.asked(), []);
    assert.deepEqual([world.count('walksSeen'), world.count('walksAskedAhead')], [2, 1]);
    world.walks.clear();
  });

  it('is not run ahead of where its top-level domain exists in a search domain of the node', () => {
    const world = walking(corefile.replace('192.0.2.2', '192.0.2.2\n nxdomain_cut on'));
    world.hasSearchDomain('corp.test.');
    world.denied('www.a.com.default.svc');
    assert.deepEqual(world.asked(), ['www.a.com.']);
    world.exists('com.corp.test.');
    world.denied('www.b.com.default.svc');
    assert.deepEqual(world.asked(), []);
    world.walks.clear();
  });

  it('is run ahead of once for each name, while it is neither cached nor asked', () => {
    const world = walking();
    world.keeps('www.known.com', 0, world.root);
    for (const name of ['www.a.com', 'www.a.com', 'www.known.com']) world.denied(`${name}.default.svc`);
    assert.deepEqual(world.asked(), ['www.a.com.']);
    world.walks.clear();
  });

  it('is not run ahead of in a zone whose answers are made here, guarded, or asked for by a worker', () => {
    const plans: Partial<Route>[] = [{ plan: () => null }, { make: () => ({ kind: 'next' }) }, { asksOurselves: true }];
    for (const parts of plans) {
      const world = walking(corefile, parts);
      world.denied('www.a.com.default.svc');
      assert.deepEqual(world.asked(), []);
    }
    const direct = walking(corefile.replace('192.0.2.2', '192.0.2.2 {\n force_tcp\n }'));
    direct.denied('www.a.com.default.svc');
    assert.deepEqual(direct.asked(), []);
    assert.equal(direct.listener.table.asksAhead, false);
    assert.equal(walking().listener.table.asksAhead, true);
    const [zone] = walking().listener.zones;
    assert.equal(mayAskAhead({ ...zone, isGuarded: true }), false);
    assert.equal(zoneTable([{ ...zone, cache: null }], 0).asksAhead, false);
  });

  it('ends as used or in vain, and what was used costs nothing of the budget', () => {
    const world = walking();
    world.denied('www.a.com.default.svc');
    world.denied('www.b.com.default.svc');
    world.walks.answered(world.root, questionFor('WWW.a.com.', typeA), 0);
    assert.equal(world.count('walksAheadUsed'), 0);
    world.walks.answered(world.root, questionFor('WWW.a.com.', typeA), 1);
    assert.equal(world.count('walksAheadUsed'), 1);
    world.clock.passMs(askedAheadMs + 1_000);
    assert.deepEqual([world.count('walksAheadUsed'), world.count('walksAheadInVain')], [1, 1]);
    let left = 0;
    while (world.budget.spend(world.clock.nowMs())) left++;
    assert.equal(left, extraQuestionsBurst - 1);
  });

  it('is one of a bounded number', () => {
    const world = walking();
    for (let index = 0; index <= askedAheadMax; index++) {
      world.budget.earn(1);
      if (index % 100 === 0) world.clock.passMs(240);
      world.denied(`www.n${index}.com.default.svc`);
    }
    assert.ok(world.asked().length <= askedAheadMax);
    world.walks.clear();
  });
});
