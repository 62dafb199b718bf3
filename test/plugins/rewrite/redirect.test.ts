import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import packets from 'dns-packet';
import { type CnameChange, redirecting } from '../../../src/plugins/rewrite/redirect.js';
import type { Step } from '../../../src/resolve/route.js';
import { inWords, queryToPlan, questionFor, rulesOf } from '../../resolve/plan-fixture.js';
import { message, type Reply, soa } from '../../resolve/waiting-fixture.js';

const cname = (name: string, data: string): packets.Answer => ({ type: 'CNAME', name, ttl: 60, data });
const a = (name: string, data = '192.0.2.1'): packets.Answer => ({ type: 'A', name, ttl: 30, data });

function asking(rules: readonly string[], name = 'my-app.com', type = 'A') {
  const changes = rulesOf(...rules.map((rule) => `cname ${rule}`)).map(({ change }) => change as CnameChange);
  const question = questionFor(name, type);
  const next = redirecting(changes, question, queryToPlan(name, type));
  return (reply: Reply, about = name): Step =>
    next({ ok: true, message: message(questionFor(about, type), reply), from: 'test' });
}

function ended(step: Step): packets.DecodedPacket & { readonly rcode?: string } {
  assert.ok(step.kind === 'end' && step.outcome.ok);
  return packets.decode(Buffer.from(step.outcome.message));
}

const inAnswer = ({ answers = [] }: packets.DecodedPacket) =>
  answers.map((record) => [record.name, record.type, (record as packets.StringAnswer).data]);

const cdn = [cname('my-app.com', 'my-app.com.cdn.example.net'), a('my-app.com.cdn.example.net', '20.2.0.1')];

describe('an alias that a rule is about', () => {
  it('leads to the other name, whose records take the place of what came behind it', () => {
    const came = asking(['exact my-app.com.cdn.example.net. my-app.com.other.cdn.com.']);
    const step = came({ answers: cdn });
    assert.ok(step.kind === 'lookUp');
    assert.equal(inWords(step.question), 'my-app.com.other.cdn.com. A IN');
    const there = [a('my-app.com.other.cdn.com', '30.3.1.1'), a('my-app.com.other.cdn.com', '30.3.1.2')];
    const whole = ended(came({ answers: there }, 'my-app.com.other.cdn.com'));
    assert.equal(whole.questions?.[0].name, 'my-app.com');
    assert.deepEqual(inAnswer(whole), [
      ['my-app.com', 'CNAME', 'my-app.com.other.cdn.com'],
      ['my-app.com.other.cdn.com', 'A', '30.3.1.1'],
      ['my-app.com.other.cdn.com', 'A', '30.3.1.2'],
    ]);
  });

  it('may be any of a chain, and match in any of five ways, whatever its case', () => {
    const chain = [cname('my-app.com', 'b.test'), cname('b.test', 'C.Test'), a('c.test')];
    for (const rule of [
      'c.test d.test',
      'prefix c d',
      'suffix c.test d.test',
      'substring c.t d.t',
      'regex ^c\\.(.*) d.{1}',
    ]) {
      const came = asking(['x.test y.test', rule]);
      const step = came({ answers: chain });
      assert.ok(step.kind === 'lookUp', rule);
      assert.equal(inWords(step.question), 'd.test. A IN');
      const whole = ended(came({ answers: [cname('d.test', 'e.test'), a('e.test')] }, 'd.test'));
      assert.deepEqual(
        inAnswer(whole).map(([, , data]) => data),
        ['b.test', 'd.test', 'e.test', '192.0.2.1'],
      );
    }
  });

  it('stays where it is when the rule makes the same name of it', () => {
    for (const rule of ['b.test b.test', 'suffix .test .test']) {
      const step = asking([rule])({ answers: [cname('my-app.com', 'b.test'), a('b.test')] });
      assert.equal(inAnswer(ended(step)).length, 2);
    }
  });

  it('is all there is to who asks for the alias itself', () => {
    const step = asking(['b.test c.test'], 'my-app.com', 'CNAME')({ answers: [cname('my-app.com', 'b.test')] });
    assert.deepEqual(inAnswer(ended(step)), [['my-app.com', 'CNAME', 'c.test']]);
  });

  it('that leads to nothing says so, as the other name does', () => {
    const came = asking(['b.test c.test']);
    came({ answers: [cname('my-app.com', 'b.test'), a('b.test')] });
    const whole = ended(came({ rcode: 3, answers: [], authorities: soa(5) }, 'c.test'));
    assert.equal(whole.rcode, 'NXDOMAIN');
    assert.deepEqual([inAnswer(whole).length, whole.authorities?.[0].type], [1, 'SOA']);
  });

  it('that leads to a failure is a failure', () => {
    const came = asking(['b.test c.test']);
    came({ answers: [cname('my-app.com', 'b.test')] });
    const whole = ended(came({ rcode: 2, answers: [] }, 'c.test'));
    assert.deepEqual([whole.rcode, inAnswer(whole)], ['SERVFAIL', []]);
    const failing = redirecting([], questionFor('a.test'), queryToPlan('a.test'));
    const lost = { ok: false, why: 'timeout', text: 'lost' } as const;
    assert.deepEqual(failing(lost), { kind: 'end', outcome: lost });
  });

  it('makes no name that is none', () => {
    const step = asking([`suffix .test ${'x'.repeat(70)}`])({ answers: [cname('my-app.com', 'b.test')] });
    assert.deepEqual(inAnswer(ended(step)), [['my-app.com', 'CNAME', 'b.test']]);
  });
});

describe('other answers', () => {
  it('stay as they are', () => {
    const step = asking(['b.test c.test'])({ answers: cdn });
    assert.deepEqual(inAnswer(ended(step)), inAnswer({ answers: cdn } as never));
    const broken = { ok: true, message: Buffer.alloc(20, 255), from: 'x' } as const;
    const next = redirecting([], questionFor('a.test'), queryToPlan('a.test'));
    assert.deepEqual(next(broken), { kind: 'end', outcome: broken });
  });
});
