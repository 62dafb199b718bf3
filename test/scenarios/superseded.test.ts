/** What an upstream says ends what it said before, whether or not the new answer may be kept (RFC 8767 4). */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { raFlag, record, soa, tcFlag } from '../simulation/records.js';
import type { ReplyRecords } from '../simulation/upstream.js';
import { newWorld, simpleCorefile, type World } from './world.js';

const name = 'a.example.';
const old: ReplyRecords = { answers: [record(name, 'A', 10, '192.0.2.1')] };
const withCache = (...options: string[]) =>
  simpleCorefile.replace('  cache\n', `  cache {\n${options.map((option) => `    ${option}\n`).join('')}  }\n`);

/** By which an answer past its TTL may be given. */
const modes: readonly string[] = [
  '',
  'serve_stale 1h immediate',
  'serve_stale 1h verify',
  'serve_stale 1h verify 200ms',
];

interface Newer {
  readonly reply: ReplyRecords;
  readonly options?: readonly string[];
  readonly data?: readonly unknown[];
  readonly rcode?: string;
}

/** Answers that may not be kept, each for a reason of its own. */
const notKept: Readonly<Record<string, Newer>> = {
  'TTL 0': { reply: { answers: [record(name, 'A', 0, '192.0.2.7')] }, data: ['192.0.2.7'] },
  'one record of two with TTL 0': {
    reply: { answers: [record(name, 'A', 60, '192.0.2.7'), record(name, 'A', 0, '192.0.2.8')] },
    data: ['192.0.2.7', '192.0.2.8'],
  },
  'NXDOMAIN without SOA': { reply: { rcode: 3 }, rcode: 'NXDOMAIN' },
  'NODATA without SOA': { reply: {} },
  'NXDOMAIN with a SOA of TTL 0': { reply: { rcode: 3, authorities: soa(name, { soaMinimum: 0 }) }, rcode: 'NXDOMAIN' },
  'an alias that leads nowhere': {
    reply: { answers: [record(name, 'CNAME', 60, 'b.example')] },
    data: ['b.example'],
  },
  'a denial where denials are not kept': {
    options: ['disable denial'],
    reply: { rcode: 3, authorities: soa(name, {}) },
    rcode: 'NXDOMAIN',
  },
  'NXDOMAIN that was cut': { reply: { rcode: 3, flags: raFlag | tcFlag }, rcode: 'NXDOMAIN' },
};

/** With an answer that has expired a second ago; what the upstream says is the test's to change. */
async function expired(
  first: ReplyRecords,
  corefile = simpleCorefile,
): Promise<{ world: World; says(reply: ReplyRecords): void }> {
  const world = await newWorld({ corefile });
  let current = first;
  world.upstream.on((asked) => (asked.name === name ? current : undefined));
  await world.asks(name, 'A');
  await world.passSeconds(11);
  const says = (reply: ReplyRecords) => {
    current = reply;
  };
  return { world, says };
}

/** What was kept is gone at the latest when a refresh in the background has ended. */
async function refreshed(world: World): Promise<void> {
  await world.asks(name, 'A');
  await world.pass(50);
}

for (const mode of modes) {
  describe(`with ${mode || 'no serve_stale'} an expired answer`, () => {
    for (const [what, { reply, options = [], data = [], rcode = 'NOERROR' }] of Object.entries(notKept)) {
      it(`is ended by ${what}, for clients, slow upstreams and failures`, async () => {
        const { world, says } = await expired(old, withCache(...options, ...(mode === '' ? [] : [mode])));
        says(reply);
        await refreshed(world);
        for (const seconds of [0, 2, 5, 9]) {
          await world.passSeconds(seconds);
          const answer = await world.asks(name, 'A');
          assert.deepEqual([answer.rcode, answer.data], [rcode, data], `after ${seconds} s more`);
        }
        world.upstream.after(1_000);
        const slow = await world.asks(name, 'A');
        assert.deepEqual([slow.rcode, slow.data], [rcode, data]);
        world.upstream.after(0);
        says({ rcode: 2 });
        for (let times = 0; times < 2; times++) assert.equal((await world.asks(name, 'A')).rcode, 'SERVFAIL');
        world.upstream.stop();
        await world.passSeconds(6);
        assert.equal((await world.asks(name, 'A')).rcode, 'SERVFAIL');
      });
    }

    it('is left by failures, whatever they say', async () => {
      const { world, says } = await expired(old, withCache(...(mode === '' ? [] : [mode])));
      for (const rcode of [2, 5, 1, 4]) {
        says({ rcode });
        await refreshed(world);
        await world.passSeconds(2);
        assert.deepEqual((await world.asks(name, 'A')).data, ['192.0.2.1'], `rcode ${rcode}`);
      }
    });

    it('that was a denial is ended by an answer', async () => {
      const denial = { rcode: 3, authorities: soa(name, { soaMinimum: 1 }) };
      const { world, says } = await expired(denial, withCache(...(mode === '' ? [] : [mode])));
      says({ answers: [record(name, 'A', 0, '192.0.2.7')] });
      await refreshed(world);
      for (let times = 0; times < 3; times++) {
        assert.deepEqual((await world.asks(name, 'A')).data, ['192.0.2.7']);
        await world.passSeconds(3);
      }
      says({ rcode: 2 });
      assert.equal((await world.asks(name, 'A')).rcode, 'SERVFAIL');
    });

    it('is no more than a last resort once its upstream has an answer that is cut', async () => {
      const { world, says } = await expired(old, withCache(...(mode === '' ? [] : [mode])));
      says({ flags: raFlag | tcFlag });
      await refreshed(world);
      for (let times = 0; times < 3; times++) {
        const cut = await world.asks(name, 'A');
        assert.deepEqual([cut.message.flag_tc, cut.data], [true, []]);
        await world.passSeconds(3);
      }
      world.upstream.after(1_000);
      assert.equal((await world.asks(name, 'A')).message.flag_tc, true, 'slowness is no failure');
      world.upstream.stop();
      assert.deepEqual((await world.asks(name, 'A')).data, ['192.0.2.1']);
    });

    it('is neither ended by an upstream’s own view nor left standing by one who asks for that', async () => {
      const { world, says } = await expired(old, withCache(...(mode === '' ? [] : [mode])));
      world.upstream.on((asked) => (asked.message.flag_rd ? undefined : {}));
      says({ rcode: 2 });
      await world.asks(name, 'A', { flags: 0 });
      await world.passSeconds(2);
      assert.deepEqual((await world.asks(name, 'A')).data, ['192.0.2.1']);
      await world.passSeconds(2);
      says({ answers: [record(name, 'A', 10, '192.0.2.2')] });
      const before = world.upstream.asked(name);
      await world.asks(name, 'A', { flags: 0 });
      await world.pass(50);
      const now = (await world.asks(name, 'A', { flags: 0 })).data;
      assert.deepEqual(
        now,
        mode.endsWith('immediate') ? ['192.0.2.2'] : [],
        `asked ${world.upstream.asked(name) - before} times`,
      );
    });
  });
}

describe('an answer that is still good', () => {
  it('is ended by the refresh ahead of its expiry', async () => {
    const { world, says } = await expired(old, withCache('prefetch 1 1m 90%'));
    await world.asks(name, 'A');
    says({ answers: [record(name, 'A', 0, '192.0.2.7')] });
    await world.passSeconds(5);
    assert.deepEqual((await world.asks(name, 'A')).data, ['192.0.2.1'], 'and asked again behind that');
    await world.pass(50);
    assert.deepEqual((await world.asks(name, 'A')).data, ['192.0.2.7']);
    says({ rcode: 2 });
    assert.equal((await world.asks(name, 'A')).rcode, 'SERVFAIL');
  });

  it('is not ended by the same question with DO or CD', async () => {
    const world = await newWorld();
    world.upstream.on((asked) => {
      const isPlain =
        asked.message.additionals?.every((one) => one.type !== 'OPT' || !one.flag_do) && !asked.message.flag_cd;
      return { answers: [record(name, 'A', isPlain ? 30 : 0, '192.0.2.1')] };
    });
    await world.asks(name, 'A');
    await world.asks(name, 'A', { edns: { dnssecOk: true } });
    await world.asks(name, 'A', { flags: 0x0110 });
    const asked = world.upstream.asked(name);
    assert.deepEqual((await world.asks(name, 'A')).ttls, [30]);
    assert.equal(world.upstream.asked(name), asked);
  });
});

describe('while an upstream is slow', () => {
  const quick = { answers: [record(name, 'A', 0, '192.0.2.7')] };

  it('the stale answer is given, and ended by what comes after it', async () => {
    const { world, says } = await expired(old);
    says(quick);
    world.upstream.after(1_000);
    assert.deepEqual((await world.asks(name, 'A')).data, ['192.0.2.1']);
    await world.passSeconds(1);
    const next = await world.asks(name, 'A');
    assert.deepEqual([next.data, next.ttls], [['192.0.2.7'], [0]]);
    assert.ok(next.afterMs >= 1_000);
  });

  for (const mode of ['', 'serve_stale 1h verify 200ms']) {
    it(`a stale denial is not given, with ${mode || 'no serve_stale'}, but on failure`, async () => {
      const denials = [
        { rcode: 3, authorities: soa(name, { soaMinimum: 5 }) },
        { authorities: soa(name, { soaMinimum: 5 }) },
      ];
      for (const denial of denials) {
        const { world, says } = await expired(denial, withCache(...(mode === '' ? [] : [mode])));
        says({ answers: [record(name, 'A', 10, '192.0.2.7')] });
        world.upstream.after(1_000);
        const first = world.asking(name, 'A');
        await world.pass(600);
        const late = world.asking(name, 'A');
        await world.pass(600);
        assert.deepEqual([(await first).data, (await late).data], [['192.0.2.7'], ['192.0.2.7']]);
        await world.stop();
        const failing = await expired(denial, withCache(...(mode === '' ? [] : [mode])));
        failing.says({ rcode: 2 });
        failing.world.upstream.after(600);
        const failed = await failing.world.asks(name, 'A');
        assert.equal(failed.rcode, denial.rcode === 3 ? 'NXDOMAIN' : 'NOERROR');
        assert.ok(failed.afterMs >= 600);
      }
    });
  }

  it('a stale denial is given at once where the Corefile says so', async () => {
    const denial = { rcode: 3, authorities: soa(name, { soaMinimum: 5 }) };
    const { world, says } = await expired(denial, withCache('serve_stale 1h immediate'));
    says({ answers: [record(name, 'A', 10, '192.0.2.7')] });
    world.upstream.after(1_000);
    assert.equal((await world.asks(name, 'A')).rcode, 'NXDOMAIN');
  });
});

describe('aaaa smart', () => {
  const smart = (...options: string[]) => withCache(...options).replace('  errors\n', '  errors\n  aaaa smart\n');

  for (const mode of modes) {
    it(`goes by the newest answer to A, with ${mode || 'no serve_stale'}`, async () => {
      const denial = { rcode: 3, authorities: soa(name, { soaMinimum: 1 }) };
      const { world, says } = await expired(denial, smart(...(mode === '' ? [] : [mode])));
      assert.equal((await world.asks(name, 'AAAA')).rcode, 'NXDOMAIN');
      await world.passSeconds(2);
      says({ answers: [record(name, 'A', 0, '192.0.2.7')] });
      assert.equal((await world.asks(name, 'AAAA')).rcode, 'NOERROR');
      says({ rcode: 2 });
      assert.equal((await world.asks(name, 'AAAA')).rcode, 'SERVFAIL');
      assert.equal((await world.asks(name, 'A')).rcode, 'SERVFAIL');
    });
  }
});
