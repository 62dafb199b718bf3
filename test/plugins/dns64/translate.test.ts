import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import packets from 'dns-packet';
import { Normaliser } from '../../../src/dns/normalise.js';
import { u16 } from '../../../src/dns/wire.js';
import { dns64 } from '../../../src/plugins/dns64/plugin.js';
import { translatedRoute } from '../../../src/plugins/dns64/translate.js';
import { byHosts } from '../../../src/plugins/hosts/answer.js';
import { byWhoami } from '../../../src/plugins/whoami/plugin.js';
import type { Made, Route } from '../../../src/resolve/route.js';
import type { Ask, Outcome, Request } from '../../../src/upstream/ask.js';
import { hashKey } from '../../dns/hash-key.js';
import { query } from '../../resolve/context-fixture.js';
import { message, type Reply, soa } from '../../resolve/waiting-fixture.js';

const normaliser = new Normaliser(hashKey());

const at = { file: 'Corefile', line: 1 };
const config = dns64.read([{ name: 'dns64', path: 'dns64', at, arguments: [], block: null }], {} as never);
const question = Uint8Array.from(query('a.test', 'AAAA').subarray(12));
const request: Request = {
  ...{ question, recursionDesired: true, checkingDisabled: false, dnssecOk: false },
  clientTransport: 'tcp',
};
const other: Route = {
  ...{ guard: null, keep: null, order: 'as sent', sections: 'all', plan: null, make: null, logQuery: null },
  ask: () => assert.fail('asked upstream'),
  lookUp: () => assert.fail('asked elsewhere'),
  ...{ asksOurselves: false, judge: null, homeOf: () => null },
  failed: () => assert.fail('said what failed'),
};

type Failing = 'timeout' | 'unreachable';

/** What comes of these answers to AAAA and A. */
function outcomeOf(replies: { readonly aaaa: Reply | Failing; readonly a?: Reply | Failing }) {
  const asked: number[] = [];
  const within: Ask = (inner, done) => {
    const type = u16(inner.question, inner.question.length - 4);
    asked.push(type);
    assert.equal(inner.clientTransport, 'tcp');
    const reply = type === 28 ? replies.aaaa : replies.a!;
    done(
      typeof reply === 'string'
        ? { ok: false, why: reply, text: '' }
        : { ok: true, message: message(inner.question, reply), from: '' },
    );
  };
  let outcome: Outcome | undefined;
  translatedRoute(other, config, within, normaliser).ask(request, (ended) => {
    outcome = ended;
  });
  assert.ok(outcome);
  const decoded = outcome.ok ? packets.decode(Buffer.from(outcome.message)) : undefined;
  return { outcome, decoded, asked };
}

const a = { answers: [{ name: 'a.test', type: 'A', ttl: 30, data: '192.0.2.1' }] as packets.Answer[] };
const none = { answers: [], authorities: soa(20) };

describe('a translated route', () => {
  it('asks for A where AAAA has nothing, and marks what it made', () => {
    const { outcome, decoded, asked } = outcomeOf({ aaaa: none, a });
    assert.deepEqual(asked, [28, 1]);
    const [made] = decoded!.answers as packets.StringAnswer[];
    assert.deepEqual([made.type, made.ttl, made.data], ['AAAA', 20, '64:ff9b::c000:201']);
    assert.deepEqual([decoded?.questions?.[0].type, decoded?.flag_rd, decoded?.flag_aa], ['AAAA', true, false]);
    assert.ok(outcome.ok && (outcome.message[3] & 0x40) !== 0);
  });

  it('gives what there is as it came, unmarked', () => {
    for (const aaaa of [
      { rcode: 3, ...none },
      { answers: [{ name: 'a.test', type: 'AAAA', ttl: 9, data: '2001:db8::1' }] as packets.Answer[] },
    ]) {
      const { outcome, asked } = outcomeOf({ aaaa });
      assert.deepEqual(asked, [28]);
      assert.ok(outcome.ok && (outcome.message[3] & 0x40) === 0);
    }
    const { decoded } = outcomeOf({ aaaa: none, a: { answers: [] } });
    assert.deepEqual([decoded?.answers, decoded?.authorities?.length], [[], 1], 'the AAAA denial');
  });

  it('passes on that an answer was cut', () => {
    const cut = { ...a, flags: packets.TRUNCATED_RESPONSE };
    assert.equal(outcomeOf({ aaaa: none, a: cut }).decoded?.flag_tc, true);
    const { asked, decoded } = outcomeOf({ aaaa: { answers: [], flags: packets.TRUNCATED_RESPONSE } });
    assert.deepEqual([asked, decoded?.flag_tc], [[28], true], 'nothing is known of what was cut off');
  });

  it('cuts what has outgrown the largest message', () => {
    const many = Array.from({ length: 2600 }, (_, index): packets.Answer => {
      return { name: 'a.test', type: 'A', ttl: 30, data: `192.0.${index >> 8}.${index & 255}` };
    });
    const { decoded } = outcomeOf({ aaaa: none, a: { answers: many } });
    assert.equal(decoded?.flag_tc, true);
    assert.ok(decoded!.answers!.length > 1500);
  });

  it('gives no IPv4 address in disguise, though there be nothing else', () => {
    const mapped = {
      answers: [{ name: 'a.test', type: 'AAAA', ttl: 9, data: '::ffff:192.0.2.1' }] as packets.Answer[],
    };
    const { decoded, asked } = outcomeOf({ aaaa: mapped, a: none });
    assert.deepEqual([decoded?.answers, asked], [[], [28, 1]]);
  });

  it('fails when both fail, and without asking for A where AAAA has taken all the time', () => {
    const servfail: Reply = { rcode: 2, answers: [] };
    for (const failing of ['unreachable' as const, servfail]) {
      assert.equal(outcomeOf({ aaaa: failing, a: failing }).outcome.ok, false);
      assert.equal(outcomeOf({ aaaa: failing, a }).outcome.ok, true);
    }
    const late = outcomeOf({ aaaa: 'timeout', a });
    assert.deepEqual([late.outcome.ok, late.asked], [false, [28]]);
    const { decoded } = outcomeOf({ aaaa: 'unreachable', a: { rcode: 3, ...none } });
    assert.deepEqual([(decoded as { rcode?: string }).rcode, decoded?.questions?.[0].type], ['NXDOMAIN', 'AAAA']);
  });

  it('makes and plans nothing but what is for its client alone', () => {
    const made = (by: typeof byHosts | typeof byWhoami): Made => ({
      ...{ kind: 'message', message: new Uint8Array(), by, extendedError: null, follow: null },
      ...(by === byWhoami ? { isForClientAlone: true } : {}),
    });
    const course = { question, options: undefined, recursionDesired: null, next: null, changes: null } as const;
    const routeOf = (parts: Partial<Route>) => translatedRoute({ ...other, ...parts }, config, other.ask, normaliser);
    const client = [{ question }, {}, {}] as unknown as Parameters<NonNullable<Route['make']>>;
    assert.deepEqual(routeOf({ make: () => made(byHosts) }).make?.(...client), { kind: 'next' });
    assert.deepEqual(routeOf({ make: () => made(byWhoami) }).make?.(...client), made(byWhoami));
    const ofA = (query: { question: Uint8Array }) =>
      made(u16(query.question, query.question.length - 4) === 1 ? byHosts : byWhoami);
    assert.deepEqual(routeOf({ make: ofA }).make?.(...client), { kind: 'next' }, 'the name’s A is known');
    assert.deepEqual(routeOf({}).make?.(...client), { kind: 'next' });
    const planned = (holdsFor: 'client' | 'everybody' | 'unscoped') =>
      routeOf({ plan: () => ({ ...course, options: new Uint8Array(4), holdsFor }) }).plan?.({ question } as never);
    assert.equal(planned('everybody'), null);
    for (const holdsFor of ['client', 'unscoped'] as const)
      assert.deepEqual(planned(holdsFor), { ...course, holdsFor: 'client' });
    assert.equal(routeOf({ plan: () => ({ failure: 'no' }) }).plan?.({ question } as never), null);
  });
});
