import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import packets from 'dns-packet';
import { parseConfig } from '../../src/config/load.js';
import { settingsOf } from '../../src/config/plugins.js';
import { wireToName } from '../../src/dns/names.js';
import { Normaliser } from '../../src/dns/normalise.js';
import { questionOf } from '../../src/dns/query.js';
import { header } from '../../src/plugins/header/plugin.js';
import { template } from '../../src/plugins/template/plugin.js';
import { answerFromTemplates, compileTemplates } from '../../src/plugins/template/templates.js';
import {
  type Changer,
  type GuardQuery,
  type GuardVerdict,
  guardFrom,
  type Made,
  type MakeQuery,
  makeFrom,
  type Next,
  planFrom,
  type QueryPlan,
} from '../../src/resolve/route.js';
import type { WorkerContext } from '../../src/resolve/worker-context.js';
import type { Outcome } from '../../src/upstream/ask.js';
import { hashKey } from '../dns/hash-key.js';
import { fixture, loadOptions, podClient, query } from './context-fixture.js';
import { inWords, queryToPlan, questionFor } from './plan-fixture.js';

function planned(changer: Changer): QueryPlan | null {
  return planFrom([{ changer }])!(queryToPlan('a.test')) as QueryPlan | null;
}

const outcome = (text: string): Outcome => ({ ok: false, why: 'timeout', text });

describe('planFrom', () => {
  it('is null where nothing changes questions', () => assert.equal(planFrom([{}]), null));

  it('plans nothing for a question that stays as it is', () =>
    assert.equal(
      planned(() => null),
      null,
    ));

  it('asks what the draft has become, and answers the question that came', () => {
    const plan = planned((draft) => {
      draft.question = questionFor('b.test');
      draft.options.set(0xffee, Buffer.from('x'));
      return null;
    })!;
    assert.equal(inWords(plan.question), 'b.test. A IN');
    assert.equal(inWords(plan.changes!.question), 'a.test. A IN');
    assert.deepEqual([...plan.options!], [0xff, 0xee, 0, 1, 0x78]);
    assert.equal(plan.next, null);
  });

  it('leaves the answer alone where only options are added', () => {
    const plan = planned((draft) => {
      draft.options.set(3, new Uint8Array(0));
      return null;
    })!;
    assert.deepEqual([plan.changes, plan.holdsFor], [null, 'everybody']);
  });

  it('sends no options at all when they have no room', () => {
    const plan = planned((draft) => {
      for (let code = 1; code < 6; code++) draft.options.set(code, new Uint8Array(500));
      draft.holdsFor = 'client';
      return null;
    })!;
    assert.deepEqual([plan.options, plan.holdsFor], [undefined, 'client']);
  });

  it('asks with or without RD where that is not what the client did', () => {
    const recursion = (wanted: boolean, flags: number) => {
      const plan = planFrom([header.start!({ recursionDesired: wanted, response: null }, {} as never)!])!({
        ...queryToPlan('a.test'),
        flags,
      }) as QueryPlan | null;
      return plan === null ? null : plan.recursionDesired;
    };
    assert.deepEqual([recursion(true, 0), recursion(true, 0x0100)], [true, null]);
    assert.deepEqual([recursion(false, 0), recursion(false, 0x0100)], [null, false]);
    assert.equal(header.start!({ recursionDesired: null, response: null }, {} as never), null);
  });

  it('hands on why there is no way to answer', () => {
    assert.deepEqual(planFrom([{ changer: () => 'no name' }])!(queryToPlan('a.test')), { failure: 'no name' });
  });

  it('lets the last that looks at outcomes end before the one before it looks', () => {
    const seen: string[] = [];
    const looks =
      (name: string, steps: ('ask' | 'end')[]): Next =>
      (came) => {
        seen.push(`${name} ${(came as { text: string }).text}`);
        return steps.shift() === 'ask'
          ? { kind: 'ask', question: questionFor('b.test') }
          : { kind: 'end', outcome: outcome(`by ${name}`) };
      };
    const { next } = planned((draft) => {
      draft.next.push(looks('first', ['ask', 'end']), looks('second', ['ask', 'end']));
      return null;
    })!;
    assert.equal(next!(outcome('1')).kind, 'ask');
    assert.equal(next!(outcome('2')).kind, 'ask');
    assert.deepEqual(next!(outcome('3')), { kind: 'end', outcome: outcome('by first') });
    assert.deepEqual(seen, ['second 1', 'second 2', 'first by second', 'first 3']);
  });
});

describe('guardFrom', () => {
  it('is nothing where there is nobody to judge', () => {
    assert.equal(guardFrom([]), null);
    assert.equal(guardFrom([{ guard: undefined }]), null);
  });

  it('asks with the query, its client and its place in the counters, and gives the verdict', () => {
    const { context, ask, zone } = fixture('other {\n forward . 192.0.2.1\n}\ntest {\n forward . 192.0.2.1\n}');
    const packet = query('A.test', 'A');
    ask(packet);
    const seen: GuardQuery[] = [];
    const judge = (verdict: GuardVerdict) =>
      guardFrom([
        {
          guard(asked) {
            seen.push(asked);
            return verdict;
          },
        },
      ])!(packet, context, podClient);
    assert.deepEqual(judge({ kind: 'drop' }), { kind: 'drop' });
    assert.deepEqual(judge({ kind: 'pass' }), { kind: 'pass' });
    const [{ id, remote, ordinal, question }] = seen;
    assert.deepEqual(
      [id, remote, ordinal, wireToName(question, 0)],
      [0x1234, '10.244.0.7', zone('test').ordinal, 'A.test.'],
    );
  });
});

/** The packet that the context has read, as makers see it. */
function asQuery({ query: read }: WorkerContext, packet: Buffer): MakeQuery {
  const question = questionOf(packet, read);
  return { id: packet.readUInt16BE(), flags: read.flags, question, remote: '10.244.0.7' };
}

/** What the block's templates make of the packet. */
function make(directives: string, packet: Buffer, zone = 'test'): Made {
  const corefile = `${zone} {\n ${directives}\n forward . 192.0.2.1\n}`;
  const config = parseConfig(corefile, 'Corefile', { ...loadOptions });
  const { context, ask } = fixture(corefile);
  assert.equal(ask(packet), 'handed over');
  const templates = compileTemplates(settingsOf(config.blocks[0], template)!);
  return makeFrom([{ maker: (query) => answerFromTemplates(templates, query) }])!(
    asQuery(context, packet),
    context.zone!,
    podClient,
  );
}

function decoded(made: Made): packets.DecodedPacket & { readonly rcode?: string } {
  assert.equal(made.kind, 'message');
  const { message } = made as Extract<Made, { kind: 'message' }>;
  assert.ok(new Normaliser(hashKey()).read(message), 'it is a message that can be kept');
  return packets.decode(Buffer.from(message));
}

describe('makeFrom', () => {
  it('asks in order, and stops at the first that is responsible', () => {
    const { context, ask } = fixture('test {\n forward . 192.0.2.1\n}');
    const packet = query('a.test', 'A');
    ask(packet);
    const asked: string[] = [];
    const says = (name: string, made: Made) => () => {
      asked.push(name);
      return made;
    };
    const next = { kind: 'next' } as const;
    const no = { kind: 'servfail', text: 'no' } as const;
    const makers = (made: Made) => makeFrom([{ maker: says('template', made) }, { maker: says('hosts', no) }])!;
    assert.deepEqual(makers(next)(asQuery(context, packet), context.zone!, podClient), no);
    assert.deepEqual(makers(no)(asQuery(context, packet), context.zone!, podClient), no);
    assert.deepEqual(asked, ['template', 'hosts', 'template']);
    assert.deepEqual(makeFrom([{ maker: () => next }])!(asQuery(context, packet), context.zone!, podClient), next);
  });

  it('makes nothing where there are no templates', () => {
    assert.equal(makeFrom([{}]), null);
  });

  it('answers the question that the context has read, for the client that asked it', () => {
    const packet = query('wEb.test', 'A');
    const answer = decoded(make('template IN A {\n answer "{{ .Name }} 60 IN TXT {{ .Remote }}"\n }', packet));
    assert.equal(answer.id, 0x1234);
    assert.equal(answer.questions?.[0].name, 'wEb.test');
    assert.deepEqual(String((answer.answers as packets.TxtAnswer[])[0].data), '10.244.0.7');
    assert.deepEqual(answer.authorities, []);
  });

  it('passes on what is no message', () => {
    assert.deepEqual(make('template IN A other.test {\n rcode NXDOMAIN\n }', query('web.test', 'A')), { kind: 'next' });
    const failing = make('template IN A {\n answer "{{ .Name }} 60 IN A {{ .Name }}"\n }', query('web.test', 'A'));
    assert.equal(failing.kind, 'servfail');
  });

  it('does not answer with an rcode that a header cannot hold', () => {
    const made = make('template IN A {\n rcode BADVERS\n }', query('web.test', 'A'));
    assert.deepEqual(made, { kind: 'servfail', text: 'template: rcode 16 needs EDNS' });
  });

  it('hands on what an alias leads to, and an extended error', () => {
    const made = make(
      'template IN A {\n answer "{{ .Name }} 60 IN CNAME b.test."\n ederror 15 "no"\n }',
      query('a.test', 'A'),
    ) as Extract<Made, { kind: 'message' }>;
    assert.equal(wireToName(made.follow as Uint8Array, 0), 'b.test.');
    assert.deepEqual(made.extendedError, { code: 15, text: 'no' });
  });

  it('gives a denial the SOA without which nobody could keep it', () => {
    for (const rcode of ['NXDOMAIN', 'NOERROR']) {
      const answer = decoded(make(`template IN A {\n rcode ${rcode}\n }\n cache 30`, query('a.b.test', 'A')));
      assert.equal(answer.rcode, rcode);
      const [soa] = answer.authorities as packets.SoaAnswer[];
      assert.deepEqual([soa.name, soa.type, soa.class, soa.data.mname], ['test', 'SOA', 'IN', 'ns.dns.test']);
      assert.deepEqual([soa.ttl, soa.data.minimum], [30, 30]);
    }
  });

  it('gives it in the class of the question, at the root, and without records behind it', () => {
    const chaos = query('a.b.test', 'A');
    chaos.writeUInt16BE(3, chaos.length - 2);
    const template = 'template ANY A {\n rcode NXDOMAIN\n additional "x.test. 60 IN A 192.0.2.1"\n }';
    const answer = decoded(make(template, chaos, '.'));
    const [soa] = answer.authorities as packets.SoaAnswer[];
    assert.deepEqual([soa.name, soa.class, soa.data.mname], ['.', 'CH', 'ns.dns']);
    assert.deepEqual(answer.additionals, []);
  });

  it('names the zone of the block also where `cache` has one of its own below it', () => {
    const made = make('template IN A {\n rcode NXDOMAIN\n }\n cache 30 b.test', query('a.b.test', 'A'));
    assert.equal((decoded(made).authorities as packets.SoaAnswer[])[0].name, 'test');
  });

  it('leaves alone a denial that brings its own authority, other rcodes, and answers', () => {
    const authority = 'authority "test. 7 IN SOA ns.test. h.test. 1 2 3 4 5"';
    const own = decoded(make(`template IN A {\n rcode NXDOMAIN\n ${authority}\n }`, query('a.test', 'A')));
    assert.deepEqual(
      (own.authorities as packets.SoaAnswer[]).map(({ ttl }) => ttl),
      [7],
    );
    const refused = decoded(make('template IN A {\n rcode REFUSED\n }', query('a.test', 'A')));
    assert.deepEqual([refused.rcode, refused.authorities], ['REFUSED', []]);
  });
});
