import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { kindDenial } from '../../src/cache/blocks.js';
import { nameToWire, wireToName } from '../../src/dns/names.js';
import { questionFor } from '../../src/dns/query.js';
import {
  cutExistsMs,
  cutRememberedMs,
  cutTrustedMs,
  extraQuestionsPerSecondMax,
  learnedCutsMax,
  queryDeadlineCeilingMs,
} from '../../src/limits.js';
import { ExtraQuestions } from '../../src/resolve/extra-questions.js';
import {
  addressQuestion,
  findFor,
  inDomain,
  isDeniedNow,
  joinedQuestion,
  keyOfCut,
  LearnedCuts,
  labelsBelow,
} from '../../src/resolve/learned-cuts.js';
import { SearchDomains } from '../../src/resolve/search-domains.js';
import { answerFor } from '../cache/answers.js';
import { ManualClock } from '../simulation/clock.js';
import { fixture } from './context-fixture.js';

const typeA = 1;
const question = (name: string) => questionFor(`${name}.cluster.local.`, typeA);

function learning(corefile = 'cluster.local {\n cache\n forward . 192.0.2.1\n}') {
  const base = fixture(corefile);
  const zone = base.zone('cluster.local.');
  const clock = new ManualClock();
  const asked: string[] = [];
  const budget = new ExtraQuestions(extraQuestionsPerSecondMax);
  const domains = new SearchDomains();
  let hasRoom = true;
  const cuts = new LearnedCuts({
    ...{ clock, budget, domains, blocks: base.context.blocks, counters: base.context.counters },
    ask(of, what) {
      assert.equal(of, zone);
      if (hasRoom) asked.push(wireToName(what, 0).replace('.cluster.local.', ''));
      return hasRoom;
    },
  });
  return {
    ...{ ...base, zone, clock, cuts, budget },
    /** The name is known not to exist. */
    keepsDenial(name: string): void {
      const keep = answerFor(`${name}.cluster.local`, { zoneId: zone.zoneId, kind: kindDenial });
      keep.message[3] |= 3;
      base.cache.keep(base.store, keep, clock.nowMs());
    },
    closeUp: () => {
      hasRoom = false;
    },
    denied: (name: string) => cuts.denied(zone, question(name)),
    /** The name that a client's query for this one waits for. */
    waitsFor(name: string): string | null {
      const above = cuts.missed(zone, question(name));
      return above === null ? null : wireToName(above, 0).replace('.cluster.local.', '');
    },
    answered: (name: string, rcode: number | null) => cuts.answered(zone, question(name), rcode),
    /** What was asked since the last look. */
    asked: () => asked.splice(0),
  };
}

describe('the names that are asked about', () => {
  const first = (name: string, exists: readonly string[] = []): string[] => {
    const world = learning();
    world.denied(name);
    const all: string[] = [];
    for (let [next] = world.asked(); next !== undefined; [next] = world.asked()) {
      all.push(next);
      world.answered(next, exists.includes(next) ? 0 : 3);
    }
    return all;
  };

  it('are the highest ones above the denied name that may not exist', () => {
    assert.deepEqual(first('www.a.com.default.svc', ['default.svc']), ['default.svc', 'com.default.svc']);
    assert.deepEqual(first('www.a.com.missing.svc'), ['missing.svc', 'missing']);
    assert.deepEqual(first('www.a.com.svc'), ['com.svc', 'com']);
    assert.deepEqual(first('A.COM.svc'), ['com.svc', 'com']);
    assert.deepEqual(first('x.web.default.svc', ['default.svc', 'web.default.svc']), [
      'default.svc',
      'web.default.svc',
    ]);
  });

  it('are right below the zone only what is no namespace', () => {
    const world = learning();
    world.denied('www.a.com');
    assert.deepEqual(world.asked(), []);
    world.keepsDenial('com.svc');
    world.denied('www.a.com');
    assert.deepEqual(world.asked(), ['com']);
    world.cuts.clear();
  });

  it('are none above names that exist', () => {
    const world = learning();
    world.cuts.exists(world.zone, question('web.prod.svc'));
    world.cuts.exists(world.zone, question('pod-0.db.prod.svc'));
    for (const name of ['a.prod.svc', 'b.db.prod.svc']) world.denied(name);
    assert.deepEqual(world.asked(), []);
    world.denied('a.com.prod.svc');
    assert.deepEqual(world.asked(), ['com.prod.svc']);
    world.cuts.clear();
  });

  it('are none above names without two labels of their own, of pods, or below a port', () => {
    for (const name of ['com', 'com.svc', 'svc', 'a.b.default.pod', '_http._tcp', 'a.dns', 'a.b.tcp']) {
      assert.deepEqual(first(name), [], name);
    }
    assert.deepEqual(first('com.default.svc', ['default.svc']), ['default.svc']);
    assert.deepEqual(first('_http._tcp.default.svc', ['default.svc']), ['default.svc']);
  });

  it('are none in a root, in a reverse zone, or where cuts are off', () => {
    for (const zone of ['.', '10.in-addr.arpa', 'corp.test']) {
      const base = fixture(
        `${zone} {\n cache\n nxdomain_cut ${zone === 'corp.test' ? 'off' : 'on'}\n forward . 192.0.2.1\n}`,
      );
      const cuts = new LearnedCuts({
        ...{ clock: new ManualClock(), budget: new ExtraQuestions(extraQuestionsPerSecondMax) },
        domains: new SearchDomains(),
        ...{ blocks: base.context.blocks, counters: base.context.counters },
        ask: () => assert.fail('asked'),
      });
      const [served] = base.listener.zones;
      cuts.denied(served, questionFor(`a.b.c.${zone === '.' ? '' : zone}`, typeA));
    }
  });
});

describe('a name that was asked about', () => {
  it('is asked once while it has no answer, and again when that did not come', () => {
    const world = learning();
    world.denied('a.com.svc');
    world.denied('b.com.svc');
    assert.deepEqual(world.asked(), ['com.svc']);
    world.clock.passMs(queryDeadlineCeilingMs);
    world.denied('c.com.svc');
    assert.deepEqual(world.asked(), ['com.svc']);
  });

  it('is not asked again for a while if it exists, or its question fails', () => {
    for (const [rcode, ms] of [
      [0, cutExistsMs],
      [2, queryDeadlineCeilingMs],
      [null, queryDeadlineCeilingMs],
    ] as const) {
      const world = learning();
      world.denied('a.com.svc');
      world.answered('com.svc', rcode);
      assert.deepEqual(world.asked(), ['com.svc']);
      world.clock.passMs(ms - 1);
      world.denied('a.com.svc');
      assert.deepEqual(world.asked(), []);
      world.clock.passMs(1);
      world.denied('a.com.svc');
      assert.deepEqual(world.asked(), ['com.svc']);
    }
  });

  it('is not asked where the cache knows it, and is asked again later where there was no room', () => {
    const world = learning();
    const keep = answerFor('com.svc.cluster.local', { zoneId: world.zone.zoneId, kind: kindDenial });
    world.cache.keep(world.store, keep, world.clock.nowMs());
    world.denied('a.com.svc');
    assert.deepEqual(world.asked(), []);
    world.closeUp();
    world.denied('a.org.svc');
    assert.equal(world.context.counters.total('cutsAsked'), 0);
    assert.equal(world.cuts.held, 0);
  });

  it('is forgotten by clear, after which no timer runs', () => {
    const world = learning();
    world.denied('a.com.svc');
    world.cuts.clear();
    world.asked();
    world.denied('a.com.svc');
    assert.deepEqual(world.asked(), ['com.svc']);
    world.cuts.clear();
  });

  it('needs no timer once it exists, or is denied no more', () => {
    const world = learning();
    let timers = 0;
    const every = world.clock.every.bind(world.clock);
    world.clock.every = (ms, run) => {
      timers++;
      const timer = every(ms, run);
      return {
        ...timer,
        stop() {
          timers--;
          timer.stop();
        },
      };
    };
    world.cuts.exists(world.zone, question('web.prod.svc'));
    assert.equal(timers, 0);
    world.denied('a.com.svc');
    assert.equal(timers, 1);
    world.answered('com.svc', 0);
    world.clock.passMs(1_000);
    assert.equal(timers, 0);
  });

  it('is one of a bounded number', () => {
    const world = learning();
    for (let index = 0; index <= learnedCutsMax; index++) {
      world.budget.earn(1);
      world.clock.passMs(10);
      world.denied(`a.t${index}.svc`);
    }
    assert.equal(world.asked().length, learnedCutsMax + 1);
  });
});

describe('a namespace', () => {
  it('is not asked about where its name is that of a walk, of whose top-level domain more is known', () => {
    const world = learning();
    world.keepsDenial('com.svc');
    world.denied('www.a.com.default.svc');
    world.denied('www.a.org.default.svc');
    assert.deepEqual(world.asked(), ['com.default.svc', 'default.svc']);
    world.cuts.clear();
  });
});

describe('a cut that has ended', () => {
  /** `com.default.svc`, `com.svc` and `com` were denied. */
  const ended = () => {
    const world = learning();
    world.denied('a.com.svc');
    for (const name of ['com.svc', 'com']) world.answered(name, 3);
    world.denied('a.com.default.svc');
    world.answered('com.default.svc', 3);
    world.asked();
    return world;
  };

  it('is asked in place of a query below it, and so are those of the next steps', () => {
    const world = ended();
    assert.equal(world.waitsFor('www.a.com.default.svc'), 'com.default.svc');
    assert.deepEqual(world.asked(), ['com.default.svc', 'com.svc', 'com']);
    assert.equal(world.waitsFor('www.a.com.svc'), 'com.svc');
    assert.deepEqual(world.asked(), ['com.svc', 'com']);
    assert.equal(world.waitsFor('www.a.org.default.svc'), null);
    world.keepsDenial('com.default.svc');
    assert.equal(world.waitsFor('www.a.com.default.svc'), null, 'it answers');
    world.cuts.clear();
  });

  it('is not, once its name exists', () => {
    const world = ended();
    world.answered('com.default.svc', 0);
    assert.equal(world.waitsFor('www.a.com.default.svc'), null);
    assert.deepEqual(world.asked(), []);
    world.clock.passMs(cutExistsMs);
    assert.equal(world.waitsFor('www.a.com.default.svc'), null);
    world.cuts.clear();
  });

  it('is asked beside the query after a minute, for which others wait, as for a new one of a known walk', () => {
    const world = ended();
    world.clock.passMs(cutTrustedMs);
    for (const place of ['default', 'prod']) {
      assert.equal(world.waitsFor(`www.a.com.${place}.svc`), null);
      assert.deepEqual(world.asked(), [`com.${place}.svc`]);
      assert.equal(world.waitsFor(`www.b.com.${place}.svc`), `com.${place}.svc`);
      assert.deepEqual(world.asked(), []);
    }
    world.cuts.clear();
  });

  it('is forgotten after a while', () => {
    const world = ended();
    world.clock.passMs(cutRememberedMs + 1_000);
    world.denied('x.org.svc');
    world.clock.passMs(1_000);
    world.asked();
    assert.equal(world.waitsFor('www.a.com.default.svc'), null);
    assert.deepEqual(world.asked(), []);
    world.cuts.clear();
  });
});

describe('a namespace that is asked about', () => {
  it('is not waited for: it exists most probably', () => {
    const world = learning();
    world.denied('www.a.com.default.svc');
    assert.deepEqual(world.asked(), ['default.svc']);
    assert.equal(world.waitsFor('web.default.svc'), null);
    assert.equal(world.waitsFor('www.b.com.default.svc'), null);
    world.answered('default.svc', 0);
    assert.deepEqual(world.asked(), ['com.default.svc']);
    assert.equal(world.waitsFor('www.b.com.default.svc'), 'com.default.svc');
    world.cuts.clear();
  });
});

describe('questions', () => {
  it('are compared in any case, and read up to the zone', () => {
    const { zone } = learning();
    assert.equal(keyOfCut(zone, question('COM')), keyOfCut(zone, question('com')));
    assert.deepEqual(labelsBelow(zone, question('a.bc.svc')), [0, 2, 5]);
    assert.deepEqual(labelsBelow(zone, questionFor('a.cluster.other.', typeA)), []);
    assert.deepEqual(
      joinedQuestion(Buffer.from('\x03com'), question('a.svc'), 2),
      Uint8Array.from(question('com.svc')),
    );
    const asked = question('A.Com');
    assert.deepEqual(addressQuestion(asked, 2, asked.length - 4), Uint8Array.from(question('com')));
  });

  it('are made of a label and a search domain', () => {
    const { zone } = learning();
    const made = inDomain(Buffer.from('\x03Com'), { zone, wire: nameToWire('corp.test.') });
    assert.deepEqual(made, Uint8Array.from(questionFor('com.corp.test.', typeA)));
  });

  it('are found in the cache', () => {
    const { zone, cache, store, context } = learning();
    const ref = cache.keep(store, answerFor('com.cluster.local', { zoneId: zone.zoneId, kind: kindDenial }), 0);
    assert.equal(findFor(context.blocks, zone, question('com')), ref);
    assert.equal(findFor(context.blocks, zone, question('org')), 0);
    assert.equal(isDeniedNow(context.blocks, zone, question('org'), 0), false);
  });
});
