import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { countedTypes, zonePlaces } from '../../src/counters.js';
import { wireToName } from '../../src/dns/names.js';
import { DenialCuts } from '../../src/resolve/cut.js';
import { refreshFrom, refuseFrom, type ServeDeps, serveFrom } from '../../src/resolve/serve.js';
import type { ServedZone, ZoneTable } from '../../src/resolve/zones.js';
import { answerFor } from '../cache/answers.js';
import { query } from './context-fixture.js';
import { AskedBy, type WaitingFixture, waiting } from './waiting-fixture.js';

const plain = '. {\n cache {\n prefetch 1 1m 90%\n }\n forward . 192.0.2.1\n}';

/** `serveFrom` over another misses or routes, with what became of it. */
function serving(corefile: string, parts: (fixture: WaitingFixture) => Partial<ServeDeps>, table?: () => ZoneTable) {
  const fixture = waiting(corefile);
  const { clock, context, misses, world, listener, errors } = fixture;
  const log = { debug() {}, info() {}, warn() {}, error: (text: string) => void errors.push(text) };
  const cuts = new DenialCuts(context);
  const base: ServeDeps = {
    clock,
    log,
    context,
    cuts,
    denials: { cut() {}, inPlaceOf: () => null },
    misses,
    routes: world.routes,
    answerWatch: world.answerWatch,
  };
  const serve = serveFrom({ ...base, ...parts(fixture) }, table ?? (() => listener.table));
  const asks = (packet: Uint8Array, client = new AskedBy(0, { address: '10.0.0.1', port: 4000 })) => {
    serve(packet, client);
    return client;
  };
  return { ...fixture, asks };
}

/** An client as listeners make it: a second reply is a bug. */
class StrictlyOnce extends AskedBy {
  override reply(answer: Uint8Array | null): void {
    assert.equal(this.replies.length, 0, 'a query is answered once');
    super.reply(answer);
  }
}

const known = (fixture: Omit<WaitingFixture, 'asks'>) => {
  fixture.cache.keep(fixture.store, answerFor('a.test', { zoneId: fixture.zone('.').zoneId }), fixture.clock.nowMs());
};
const bug = () => {
  throw new Error('a bug');
};

describe('serveFrom', () => {
  it('tells those who watch what it answers at once, and what waited; nobody else', () => {
    const fixture = waiting(`. {\n aaaa nodata\n cache\n forward . 192.0.2.1\n}`);
    known(fixture);
    fixture.asks(query('a.test', 'A'));
    assert.deepEqual(fixture.told, []);
    fixture.isWatched();
    fixture.asks(query('a.test', 'A'));
    fixture.asks(query('a.test', 'AAAA'));
    const waits = fixture.asks(query('b.test', 'A'));
    assert.equal(waits.replies.length, 0);
    fixture.clock.passMs(25);
    fixture.asked[0].answers();
    fixture.asks(query('c.test', 'A'));
    fixture.clock.passMs(7);
    fixture.asked[0].fails();
    assert.deepEqual(fixture.told, [
      ['hit', 0],
      ['policy', 0],
      ['miss', 25],
      ['failure', 7],
    ]);
    assert.equal(waits.replies.length, 1);
  });

  it('replies at once where that can be, hands over what must wait, and settles what gets no answer', () => {
    const waited: number[] = [];
    const fixture = serving(plain, ({ clock }) => ({
      misses: {
        wait: (_packet, _asker, nowMs) => void waited.push(nowMs - clock.nowMs()),
        refresh: bug,
        refuse: bug,
        waitForOther: bug,
      },
    }));
    known(fixture);
    assert.deepEqual(fixture.asks(query('a.test', 'A')).data, ['192.0.2.1']);
    assert.deepEqual([fixture.asks(query('b.test', 'A')).replies.length, waited], [0, [0]]);
    assert.deepEqual(fixture.asks(Buffer.alloc(5)).replies, [null]);
    const response = query('a.test', 'A');
    response[2] |= 0x80;
    assert.deepEqual(fixture.asks(response).replies, [null]);
  });

  it('counts each client under its own transport and family', () => {
    const fixture = serving(plain, () => ({}));
    known(fixture);
    const packet = query('a.test', 'A');
    for (const transport of [0, 1] as const) {
      for (const address of ['10.0.0.1', 'fd00::1'])
        fixture.asks(packet, new AskedBy(transport, { address, port: 4000 }));
    }
    const { zones } = fixture.context.counters;
    const base = fixture.context.counters.zoneBase(fixture.zone('.').ordinal) + zonePlaces.requests;
    const flows = [0, 1, 2, 3].map((flow) => zones[base + flow * countedTypes.length]);
    assert.deepEqual(flows, [1, 1, 1, 1]);
  });

  it('reads the table anew for each packet', () => {
    let reads = 0;
    const other = waiting('other.test {\n forward . 192.0.2.1\n}').listener.table;
    const fixture = serving(
      plain,
      () => ({}),
      () => {
        reads++;
        return other;
      },
    );
    assert.equal(fixture.asks(query('a.test', 'A')).rcode, 'REFUSED');
    fixture.asks(query('a.other.test', 'A'));
    assert.equal(reads, 2);
  });

  it('asks for a refresh only after the reply', () => {
    const order: string[] = [];
    const fixture = serving(plain, () => ({
      misses: { wait: bug, waitForOther: bug, refresh: () => void order.push('refresh'), refuse: bug },
    }));
    known(fixture);
    class Ordered extends AskedBy {
      override reply(): void {
        order.push('reply');
      }
    }
    fixture.asks(query('a.test', 'A'), new Ordered(0, { address: '10.0.0.1', port: 4000 }));
    assert.deepEqual(order, ['reply'], 'it is young');
    fixture.clock.passMs(20_000);
    fixture.asks(query('a.test', 'A'), new Ordered(0, { address: '10.0.0.1', port: 4000 }));
    assert.deepEqual(order, ['reply', 'reply', 'refresh']);
  });

  it('writes the query log of what it answers at once', () => {
    const fixture = waiting('. {\n log\n cache\n forward . 192.0.2.1\n}');
    known(fixture);
    fixture.asks(query('a.test', 'A'), { transport: 'tcp' });
    fixture.asks(query('b.test', 'A'));
    assert.deepEqual(
      fixture.logged.map(({ name, transport, rcode, durationMs }) => [name, transport, rcode, durationMs]),
      [['a.test.', 'tcp', 0, 0]],
      'the other is logged when it has its answer',
    );
  });

  it('loses one packet to an exception, counts it, and goes on', () => {
    const fixture = serving(plain, () => ({ misses: { wait: bug, waitForOther: bug, refresh: bug, refuse: bug } }));
    known(fixture);
    const lost = fixture.asks(query('b.test', 'A'), new StrictlyOnce(0, { address: '10.0.0.1', port: 4000 }));
    assert.deepEqual(lost.replies, [null]);
    assert.deepEqual([fixture.total('panics'), fixture.errors.length], [1, 1]);
    assert.equal(fixture.asks(query('a.test', 'A')).replies.length, 1);
  });

  it('does not answer a second time what failed after its answer', () => {
    const client = () => new StrictlyOnce(0, { address: '10.0.0.1', port: 4000 });
    const refreshing = serving(plain, () => ({ misses: { wait: bug, waitForOther: bug, refresh: bug, refuse: bug } }));
    known(refreshing);
    refreshing.clock.passMs(20_000);
    assert.deepEqual(refreshing.asks(query('a.test', 'A'), client()).data, ['192.0.2.1']);
    assert.equal(refreshing.total('panics'), 1);

    const routes = { get: (_zone: ServedZone) => bug() };
    const logging = serving('. {\n log\n cache\n forward . 192.0.2.1\n}', () => ({ routes }));
    known(logging);
    assert.deepEqual(logging.asks(query('a.test', 'A'), client()).data, ['192.0.2.1']);
    assert.equal(logging.total('panics'), 1);
  });
});

describe('refuseFrom', () => {
  const client = () => new AskedBy(0, { address: '10.0.0.1', port: 4000 });
  const refusing = (table?: () => ZoneTable) => {
    const fixture = waiting('. {\n cache\n forward . 192.0.2.1\n}');
    const { clock, context, misses, world, listener, errors } = fixture;
    const log = { debug() {}, info() {}, warn() {}, error: (text: string) => void errors.push(text) };
    const deps = {
      clock,
      log,
      context,
      cuts: new DenialCuts(context),
      denials: { cut() {}, inPlaceOf: () => null },
      misses,
      routes: world.routes,
      answerWatch: world.answerWatch,
    };
    const refuse = refuseFrom(deps, table ?? (() => listener.table));
    return { ...fixture, refuse };
  };

  it('answers at once: by what is known, though it be stale, else SERVFAIL, and counts it', () => {
    const fixture = refusing();
    const unknown = client();
    fixture.refuse(query('b.test', 'A'), unknown);
    assert.equal(unknown.rcode, 'SERVFAIL');
    known(fixture);
    fixture.clock.passMs(60_000);
    const stale = client();
    fixture.refuse(query('a.test', 'A'), stale);
    assert.deepEqual(stale.data, ['192.0.2.1']);
    assert.deepEqual([fixture.total('overloadedHandOver'), fixture.total('staleOnFailure')], [2, 1]);
    assert.deepEqual([fixture.askedTimes, fixture.misses.waiters], [0, 0]);
  });

  it('settles what nobody serves any more', () => {
    const other = waiting('other.test {\n forward . 192.0.2.1\n}').listener.table;
    const gone = client();
    refusing(() => other).refuse(query('a.test', 'A'), gone);
    assert.deepEqual(gone.replies, [null]);
  });
});

describe('refreshFrom', () => {
  it('takes a packet that a worker has answered from a cut for a walk, and another for a refresh', () => {
    const fixture = waiting('cluster.local {\n cache\n forward . 192.0.2.1\n}');
    const { clock, context, listener, world, cache, store } = fixture;
    const told: string[] = [];
    const refresh = refreshFrom(
      {
        ...{ clock, context, cuts: new DenialCuts(context), routes: world.routes, answerWatch: world.answerWatch },
        log: { debug() {}, info() {}, warn() {}, error: bug },
        denials: { cut: (_, question) => void told.push(`walk ${wireToName(question, 0)}`), inPlaceOf: bug },
        misses: { wait: bug, waitForOther: bug, refuse: bug, refresh: () => void told.push('refresh') },
      },
      () => listener.table,
    );
    const client = new AskedBy(0, { address: '10.0.0.1', port: 4000 });
    refresh(query('a.b.default.svc.cluster.local', 'A'), client);
    const keep = answerFor('a.b.default.svc.cluster.local', { zoneId: fixture.zone('cluster.local.').zoneId });
    cache.keep(store, keep, clock.nowMs());
    refresh(query('a.b.default.svc.cluster.local', 'A'), client);
    refresh(query('a.other', 'A'), client);
    clock.passMs(60_000);
    refresh(query('a.b.default.svc.cluster.local', 'A'), client);
    const walk = 'walk a.b.default.svc.cluster.local.';
    assert.deepEqual(told, [walk, 'refresh', walk]);
  });
});
