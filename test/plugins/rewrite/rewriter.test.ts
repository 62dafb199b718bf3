import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import packets from 'dns-packet';
import fc from 'fast-check';
import { nameToWire, wireToName } from '../../../src/dns/names.js';
import { rewrite } from '../../../src/plugins/rewrite/plugin.js';
import { rewriter } from '../../../src/plugins/rewrite/rewriter.js';
import { newDraft, planFrom, type QueryPlanDraft } from '../../../src/resolve/route.js';
import { query } from '../../resolve/context-fixture.js';
import { inWords, queryToPlan, rulesOf } from '../../resolve/plan-fixture.js';
import { waiting } from '../../resolve/waiting-fixture.js';

function rewritten(lines: readonly string[], name: string, type = 'A'): QueryPlanDraft {
  const query = queryToPlan(name, type);
  const draft = newDraft(query.question);
  assert.equal(rewriter(rulesOf(...lines))!(draft, query), null);
  return draft;
}

const asked = (lines: readonly string[], name: string, type?: string) => inWords(rewritten(lines, name, type).question);

/** What becomes of an owner and of a name that a record leads to. */
function named(lines: readonly string[], name: string, inAnswer: string): { owner: string; value: string } {
  const { owner, value } = rewritten(lines, name);
  const over = (rename: QueryPlanDraft['owner']): string => {
    const other = rename === null ? null : rename(nameToWire(inAnswer));
    return other === null ? inAnswer : wireToName(other, 0);
  };
  return { owner: over(owner), value: over(value) };
}

describe('the question', () => {
  it('is asked as the first rule that matches has it', () => {
    const rules = ['name a.test b.test', 'name prefix a c', 'type ANY HINFO', 'class CH IN'];
    assert.equal(asked(rules, 'A.test'), 'b.test. A IN');
    assert.equal(asked(rules, 'ab.test'), 'cb.test. A IN');
    assert.equal(asked(rules, 'x.test', 'ANY'), 'x.test. HINFO IN');
    assert.equal(asked(rules, 'X.test'), 'X.test. A IN');
  });

  it('goes on to the next rule after continue, as the rules before have made it', () => {
    const rules = ['continue name a.test b.test', 'continue name b.test c.test', 'type A TXT', 'name c.test d.test'];
    assert.equal(asked(rules, 'a.test'), 'c.test. TXT IN');
  });

  it('is not changed in its place', () => {
    const query = queryToPlan('a.test', 'ANY');
    const draft = newDraft(query.question);
    rewriter(rulesOf('type ANY HINFO'))!(draft, query);
    assert.equal(inWords(query.question), 'a.test. ANY IN');
    assert.notEqual(draft.question, query.question);
  });

  it('fails when it would be no name, and says which rule made it', () => {
    const query = queryToPlan(`${'a'.repeat(60)}.test`);
    const failure = rewriter(rulesOf('name prefix a bbbbbbbb'))!(newDraft(query.question), query);
    assert.match(failure ?? '', /^rewrite at Corefile:2: the rewritten a{60}\.test\. is not a valid name$/u);
  });

  it('has nobody to change it without rules', () => assert.equal(rewrite.start!([], {} as never), null));
});

describe('names in the answer', () => {
  it('are led back after an exact rule, with what is below them, owners and where records lead', () => {
    assert.deepEqual(named(['name red blue'], 'red', 'blue.'), { owner: 'red.', value: 'red.' });
    assert.deepEqual(named(['name red blue'], 'red', 'x.Blue.'), { owner: 'x.red.', value: 'x.red.' });
    assert.deepEqual(named(['name red blue'], 'red', 'green.'), { owner: 'green.', value: 'green.' });
  });

  it('stay after others, unless these say answer auto', () => {
    for (const rule of ['prefix foo bar', 'suffix .com .org', 'substring foo.example bar.example']) {
      const other = rule.startsWith('suffix') ? 'foo.example.org.' : 'bar.example.com.';
      assert.equal(named([`name ${rule}`], 'foo.example.com', other).owner, other, rule);
      assert.equal(named([`name ${rule} answer auto`], 'foo.example.com', other).owner, 'foo.example.com.', rule);
    }
    const back = named(
      ['name regex (.*)\\.coredns\\.rocks {1}.coredns.maps answer auto'],
      'a.coredns.rocks',
      'a.coredns.maps.',
    );
    assert.equal(back.owner, 'a.coredns.rocks.');
  });

  it('get their suffix back, all names that have it', () => {
    const rules = ['name suffix .coredns.rocks .service.consul answer auto'];
    assert.equal(named(rules, 'a.coredns.rocks', 'b.service.consul.').value, 'b.coredns.rocks.');
    const joined = ['name suffix .ingress.coredns.rocks nginx.coredns.rocks answer auto'];
    assert.equal(
      named(joined, 'coredns.ingress.coredns.rocks', 'corednsnginx.coredns.rocks.').owner,
      'coredns.ingress.coredns.rocks.',
    );
  });

  it('are as answer name and answer value say, each for its own', () => {
    const pattern = '(.*)\\.service\\.(us-west-1)\\.consul {1}-{2}.coredns.rocks';
    const rule = (answer: string) => `name regex (.*)-(us-west-1)\\.coredns\\.rocks {1}.service.{2}.consul ${answer}`;
    const ask = (answer: string) =>
      named([rule(answer)], 'ftp-us-west-1.coredns.rocks', 'ftp.service.us-west-1.consul.');
    const [from, to] = ['ftp.service.us-west-1.consul.', 'ftp-us-west-1.coredns.rocks.'];
    assert.deepEqual(ask(''), { owner: from, value: from });
    assert.deepEqual(ask(`answer name ${pattern}`), { owner: to, value: from });
    assert.deepEqual(ask(`answer value ${pattern}`), { owner: from, value: to });
    assert.deepEqual(ask(`answer name ${pattern} value ${pattern}`), { owner: to, value: to });
  });

  it('are undone in the opposite order', () => {
    assert.equal(named(['continue name a.test b.test', 'name b.test c.test'], 'a.test', 'c.test.').owner, 'a.test.');
  });
});

describe('TTLs and rcodes', () => {
  it('are as the rules say whose names match, one after the other', () => {
    const rules = [
      'continue ttl regex (.*)\\.coredns\\.rocks 15-300',
      'continue rcode suffix .coredns.rocks NXDOMAIN NOERROR',
    ];
    const { ttlSeconds, rcode } = rewritten(rules, 'a.coredns.rocks');
    assert.deepEqual([5, 20, 900].map(ttlSeconds!), [15, 20, 300]);
    assert.deepEqual([2, 3].map(rcode!), [2, 0]);
    const other = rewritten(rules, 'a.coredns.org');
    assert.deepEqual([other.ttlSeconds, other.rcode], [null, null]);
    const twice = rewritten(
      ['continue ttl a.test 10-', 'continue ttl a.test -5', 'continue rcode a.test 3 2', 'rcode a.test 2 5'],
      'a.test',
    );
    assert.deepEqual([twice.ttlSeconds!(1), twice.rcode!(3)], [5, 5]);
  });
});

describe('aliases', () => {
  it('are for later, and end no walk', () => {
    const draft = rewritten(['cname a.test b.test', 'cname c.test d.test', 'name x.test y.test'], 'x.test');
    assert.equal(inWords(draft.question), 'y.test. A IN');
    assert.equal(draft.next.length, 1);
  });
});

describe('any rules', () => {
  const part = fc.constantFrom(
    'a',
    'b',
    'a.test',
    '.test',
    'b.test.',
    'x-',
    `${'y'.repeat(60)}.`,
    '{1}.test',
    '(a|b)(.*)',
    '.*',
  );
  const how = fc.constantFrom('exact', 'prefix', 'suffix', 'substring', 'regex');
  const then = fc.constantFrom('', 'continue ');
  const seconds = fc.constantFrom('5', '10-20', '-3', '100-');
  const rule = fc
    .oneof(
      fc
        .tuple(then, how, part, part, fc.constantFrom('', ' answer auto', ' answer value (.*)t(.*) {1}.{2}'))
        .map(([first, way, from, to, answer]) => `${first}name ${way} ${from} ${to}${answer}`),
      fc.tuple(then, how, part, part).map(([first, way, from, to]) => `${first}cname ${way} ${from} ${to}`),
      fc.tuple(then, how, part, seconds).map(([first, way, name, ttl]) => `${first}ttl ${way} ${name} ${ttl}`),
      fc.tuple(then, how, part).map(([first, way, name]) => `${first}rcode ${way} ${name} 3 0`),
      fc.constantFrom(
        'type A AAAA',
        'continue type AAAA A',
        'continue edns0 subnet set 24 56',
        'edns0 local set 9 {client_ip}',
      ),
    )
    .filter(isRule);
  const records = fc.array(
    fc.record({ name: part, type: fc.constantFrom('A', 'CNAME', 'MX', 'SRV', 'NS'), ttl: fc.nat(300), to: part }),
    { maxLength: 6 },
  );
  function isRule(line: string): boolean {
    try {
      return rulesOf(line).length === 1;
    } catch {
      return false; // a group that its pattern does not have, for one
    }
  }
  const nameOf = (text: string) => text.replace(/[^a-z.-]/g, '').replace(/^\.|\.$/g, '') || 'z';
  const dataOf = (type: string, to: string): unknown => {
    if (type === 'A') return '192.0.2.1';
    if (type === 'MX') return { preference: 1, exchange: to };
    return type === 'SRV' ? { port: 80, target: to } : to;
  };

  it('give every client one answer that can be read, to the question that it asked', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(rule, { maxLength: 6, size: 'max' }),
        part,
        records,
        fc.boolean(),
        async (lines, asked, answers, isKept) => {
          const plain = `. {\n${isKept ? ' cache 30\n' : ''} forward . 192.0.2.1\n}`;
          const world = waiting(plain, { plan: planFrom([{ changer: rewriter(rulesOf(...lines)) }]) });
          const packet = query(nameOf(asked), 'A', {});
          const clients = [world.asks(packet), world.asks(packet)];
          for (let turns = 0; world.misses.size > 0; turns++) {
            assert.ok(turns < 60, 'it ends');
            // What is looked up is heard of in a later turn.
            await new Promise((resolve) => setImmediate(resolve));
            world.asked[0]?.answers({
              answers: answers.map(
                ({ name, type, ttl, to }) =>
                  ({ name: nameOf(name), type, ttl, data: dataOf(type, nameOf(to)) }) as packets.Answer,
              ),
            });
          }
          for (const { answer } of clients) assert.deepEqual(answer.questions, packets.decode(packet).questions);
          assert.deepEqual([world.errors, world.misses.size, world.misses.waiters], [[], 0, 0]);
        },
      ),
      { numRuns: 300 },
    );
  });
});
