import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import packets from 'dns-packet';
import { settingsOf } from '../../../src/config/plugins.js';
import { Counters, countersMemory } from '../../../src/counters.js';
import { byLocal, local } from '../../../src/plugins/local/plugin.js';
import { blockOf, warningsOf } from '../../config/options.js';
import { query } from '../../resolve/context-fixture.js';

const counters = new Counters(countersMemory(1));
const noted: string[] = [];
const quiet = { info() {}, warn() {}, error() {} };
const deps = { counters, log: { ...quiet, debug: (text: string) => void noted.push(text) } };

/** `RCODE data of the answer | owner of the SOA`, or `pass`. */
function said(name: string, type: string, takesPrefix = true, questionClass = 1): string {
  const question = query(name, type).subarray(12);
  question.writeUInt16BE(questionClass, question.length - 2);
  const verdict = local.start!({ takesPrefix }, { deps } as never)!.guard!({
    id: 7,
    flags: 256,
    question,
    remote: '10.0.0.9',
    ordinal: 0,
  });
  if (verdict.kind !== 'message') return verdict.kind;
  assert.equal(verdict.by, byLocal);
  const answer = packets.decode(Buffer.from(verdict.message)) as packets.DecodedPacket & { rcode: string };
  const records = [...answer.answers!, ...answer.authorities!] as (packets.StringAnswer | packets.SoaAnswer)[];
  assert.ok(records.every(({ ttl }) => ttl === 604_800));
  assert.deepEqual([answer.flag_aa, answer.flag_rd, answer.questions?.[0].name], [false, true, name]);
  const data = records.map((record) => (record.type === 'SOA' ? `SOA ${record.name}` : String(record.data)));
  return [answer.rcode, ...data].join(' ');
}

describe('local', () => {
  it('answers for localhost', () => {
    assert.equal(said('localhost', 'A'), 'NOERROR 127.0.0.1');
    assert.equal(said('LocalHost', 'AAAA'), 'NOERROR ::1');
    assert.equal(said('localhost', 'NS'), 'NOERROR localhost');
    assert.equal(said('localhost', 'SOA'), 'NOERROR SOA localhost');
    assert.equal(said('localhost', 'TXT'), 'NOERROR SOA localhost');
  });

  it('answers for names below it and, if wanted, for those that begin with it', () => {
    assert.equal(said('a.localhost', 'A'), 'NOERROR 127.0.0.1');
    assert.equal(said('a.b.localhost', 'AAAA'), 'NOERROR ::1');
    assert.equal(said('a.localhost', 'SOA'), 'NOERROR SOA a.localhost');
    assert.equal(said('localhost.example.org', 'A'), 'NOERROR 127.0.0.1');
    assert.equal(said('localhost.example.org', 'MX'), 'NOERROR SOA localhost.example.org');
    assert.equal(said('localhost.example.org', 'A', false), 'pass');
    assert.equal(said('a.localhost', 'A', false), 'NOERROR 127.0.0.1');
  });

  it('knows one name in the reverse zones, and denies the others', () => {
    assert.equal(said('1.0.0.127.in-addr.arpa', 'PTR'), 'NOERROR localhost');
    assert.equal(said('1.0.0.127.in-addr.arpa', 'A'), 'NOERROR SOA 127.in-addr.arpa');
    assert.equal(said('0.0.127.in-addr.arpa', 'PTR'), 'NOERROR SOA 127.in-addr.arpa', 'something is below it');
    assert.equal(said('2.0.0.127.in-addr.arpa', 'PTR'), 'NXDOMAIN SOA 127.in-addr.arpa');
    assert.equal(said('1.1.0.0.127.in-addr.arpa', 'PTR'), 'NXDOMAIN SOA 127.in-addr.arpa');
    for (const net of ['0', '127', '255']) {
      const zone = `${net}.in-addr.arpa`;
      assert.equal(said(zone, 'A'), `NOERROR SOA ${zone}`);
      assert.equal(said(zone, 'SOA'), `NOERROR SOA ${zone}`);
      assert.equal(said(zone, 'NS'), 'NOERROR localhost');
    }
    assert.equal(said('1.255.in-addr.arpa', 'PTR'), 'NXDOMAIN SOA 255.in-addr.arpa');
  });

  it('lets others pass', () => {
    for (const name of ['example.org', '10.in-addr.arpa', 'xlocalhost', '.']) assert.equal(said(name, 'A'), 'pass');
    assert.equal(said('localhost', 'A', true, 3), 'pass', 'another class');
  });

  it('counts and notes what is below localhost or behind it, and not localhost itself', () => {
    const before = counters.total('localhostRequests');
    noted.length = 0;
    for (const name of ['localhost', 'a.localhost', 'localhost.a', '1.0.0.127.in-addr.arpa']) said(name, 'A');
    assert.equal(counters.total('localhostRequests') - before, 2);
    assert.deepEqual(noted, ['local: a.localhost. A queried by 10.0.0.9', 'local: localhost.a. A queried by 10.0.0.9']);
  });
});

const localOf = (...lines: string[]) => settingsOf(blockOf('forward . 10.0.0.1', ...lines), local) ?? null;

it('local takes names that begin with localhost, unless told not to', () => {
  assert.equal(localOf(), null);
  assert.deepEqual(localOf('local'), { takesPrefix: true });
  assert.deepEqual(localOf('local {', 'localhost_prefix on', '}'), { takesPrefix: true });
  assert.deepEqual(localOf('local {', 'localhost_prefix off', '}'), { takesPrefix: false });
});

it('local alone has something to answer; of two the last counts', () => {
  assert.deepEqual(warningsOf('. {\nlocal\n}\n'), []);
  const twice = '. {\nlocal\nlocal {\nlocalhost_prefix off\n}\n}\n';
  assert.deepEqual(localOf('local', 'local {', 'localhost_prefix off', '}'), { takesPrefix: false });
  assert.match(warningsOf(twice)[0], /^3: local: it is already on line 2, and only the last one counts/u);
});

it('what local does not understand it refuses', () => {
  assert.throws(() => localOf('local example.org'), /:3: local: expects no arguments; remove "example.org"/u);
  assert.throws(() => localOf('local {', 'localhost_prefix', '}'), /:4: local localhost_prefix: expects on or off/u);
  assert.throws(
    () => localOf('local {', 'localhost_prefix maybe', '}'),
    /:4: local localhost_prefix: it must be on or off/u,
  );
  assert.throws(() => localOf('local {', 'prefix on', '}'), /:4: local: does not know "prefix"/u);
});
