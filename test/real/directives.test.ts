/** Directives that answer or refuse by themselves, asked by dig: hosts, acl, any, local, minimal, whoami. */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { query } from '../resolve/context-fixture.js';
import { eventually, needs, output } from './commands.js';
import { type LoopbackZerohop, startOnLoopback } from './loopback.js';

describe('directives that need no upstream', { skip: needs('dig') }, () => {
  const folder = mkdtempSync(join(tmpdir(), 'zerohop-hosts-'));
  const file = join(folder, 'hosts');
  let zerohop: LoopbackZerohop;

  before(async () => {
    writeFileSync(file, '10.1.0.1 a.example b.example\nfd00::1 a.example\n10.1.0.3 *.apps.example\n');
    const rules = 'acl secret.example {\n block type A net 127.0.0.0/8\n filter type TXT\n }';
    const hosts = `hosts ${file} {\n 10.1.0.2 in.example\n reload 500ms\n fallthrough\n }`;
    zerohop = await startOnLoopback(`cache 30\n any\n minimal\n whoami\n ${rules}\n ${hosts}`, query('a.example', 'A'));
  });
  after(async () => {
    await zerohop?.stop();
    rmSync(folder, { recursive: true });
  });

  const dig = (...words: string[]): Promise<string> =>
    output(['dig', `@${zerohop.place.address}`, '-p', String(zerohop.place.port), '+tries=1', ...words]);
  const data = async (...words: string[]) => (await dig('+short', ...words)).trim().split('\n').sort();

  it('hosts: addresses, a wildcard, the Corefile’s own, and the way back', async () => {
    assert.deepEqual(await data('a.example', 'A'), ['10.1.0.1']);
    assert.deepEqual(await data('+tcp', 'a.example', 'AAAA'), ['fd00::1']);
    assert.deepEqual(await data('x.apps.example', 'A'), ['10.1.0.3']);
    assert.deepEqual(await data('in.example', 'A'), ['10.1.0.2']);
    assert.deepEqual(await data('-x', '10.1.0.1'), ['a.example.', 'b.example.']);
  });

  it('acl: REFUSED or nothing, and why', async () => {
    assert.match(await dig('secret.example', 'A'), /status: REFUSED[\s\S]*EDE: 15 \(Blocked\)/u);
    assert.match(await dig('+tcp', 'secret.example', 'TXT'), /status: NOERROR[\s\S]*EDE: 17 \(Filtered\)/u);
  });

  it('any: one HINFO', async () => {
    assert.deepEqual(await data('+notcp', 'a.example', 'ANY'), ['"ANY obsoleted" "See RFC 8482"']);
  });

  it('whoami: the client’s address and port', async () => {
    assert.match(
      await dig('+notcp', 'else.where', 'A'),
      /ANSWER: 0[\s\S]*^else\.where\.\s+0\s+IN\s+A\s+127\.0\.0\.1$/mu,
    );
    assert.match(await dig('+tcp', 'else.where', 'A'), /^_tcp\.else\.where\.\s+0\s+IN\s+SRV\s+0 0 [1-9]\d+ \.$/mu);
  });

  it('hosts: a changed file is what clients get', async () => {
    writeFileSync(file, '10.9.9.9 a.example\n');
    await eventually('the new address', async () => {
      const [address] = await data('a.example', 'A');
      return address === '10.9.9.9' ? address : undefined;
    });
  });
});

const template = `template IN A lb.test {
    answer "{{ .Name }} 30 IN CNAME host.lb.test."
    ${[1, 2, 3, 4].map((host) => `answer "host.lb.test. 30 IN A 10.0.0.${host}"`).join('\n    ')}
    fallthrough
}`;

describe('directives before the cache', { skip: needs('dig') }, () => {
  let zerohop: LoopbackZerohop;

  before(async () => {
    zerohop = await startOnLoopback(
      `cache 30\n local\n nsid this is it\n chaos "our cache"\n loadbalance {\n prefer 10.0.0.4\n }\n dns64\n bind ::1\n whoami\n ${template}`,
      query('localhost', 'A'),
    );
  });
  after(async () => {
    await zerohop?.stop();
  });

  const dig = (...words: string[]): Promise<string> =>
    output(['dig', `@${zerohop.place.address}`, '-p', String(zerohop.place.port), '+tries=1', ...words]);
  const data = async (...words: string[]) => (await dig('+short', ...words)).trim().split('\n').sort();

  it('nsid: who answers, for those who ask, from the cache and elsewhere', async () => {
    for (const words of [['+notcp'], ['+tcp'], ['+notcp']]) {
      const answer = await dig('+nsid', ...words, 'a.local.test', 'A');
      assert.match(answer, /; NSID: [0-9a-f ]+\("this is it"\)/u);
    }
    assert.doesNotMatch(await dig('a.local.test', 'A'), /NSID/u);
  });

  it('chaos: which server this is, over UDP and TCP', async () => {
    for (const words of [['+notcp'], ['+tcp'], ['+notcp']]) {
      assert.deepEqual(await data(...words, 'CH', 'TXT', 'version.bind'), ['"our cache"']);
      assert.match(await dig(...words, 'CH', 'TXT', 'hostname.bind'), /^hostname\.bind\.\s+0\s+CH\s+TXT\s+"[^"]+"$/mu);
    }
  });

  it('loadbalance: the alias, the preferred address, and the others in any order', async () => {
    const orders = new Set<string>();
    for (let round = 0; round < 30; round++) {
      const answer = await dig('+short', round % 3 === 0 ? '+tcp' : '+notcp', 'www.lb.test', 'A');
      orders.add(answer.trim().replaceAll('\n', ' '));
    }
    assert.ok(orders.size > 3, 'all six but by a chance of one in thousands');
    for (const order of orders) {
      assert.match(order, /^host\.lb\.test\. 10\.0\.0\.4 /u);
      const others = order.split(' ').slice(2).sort();
      assert.deepEqual(others, ['10.0.0.1', '10.0.0.2', '10.0.0.3']);
    }
  });

  it('dns64: for clients over IPv6, and for no others', async () => {
    const over = async (address: string, ...words: string[]) => {
      const { port } = zerohop.place;
      const all = await output(['dig', `@${address}`, '-p', `${port}`, '+tries=1', '+short', ...words, 'AAAA']);
      return all.trim().split('\n').sort();
    };
    const made = ['1', '2', '3', '4'].map((host) => `64:ff9b::a00:${host}`);
    for (const words of [['+notcp'], ['+tcp'], ['+notcp']]) {
      assert.deepEqual(await over('::1', ...words, 'six.lb.test'), [...made, 'host.lb.test.']);
      assert.deepEqual(await over('127.0.0.1', ...words, 'six.lb.test'), ['']);
    }
  });

  it('local: names of this machine', async () => {
    assert.deepEqual(await data('localhost', 'A'), ['127.0.0.1']);
    assert.deepEqual(await data('+tcp', 'localhost', 'AAAA'), ['::1']);
    assert.deepEqual(await data('localhost.some.where', 'A'), ['127.0.0.1']);
    assert.deepEqual(await data('-x', '127.0.0.1'), ['localhost.']);
    assert.match(await dig('-x', '127.0.0.2'), /status: NXDOMAIN[\s\S]*^127\.in-addr\.arpa\.\s+604800\s+IN\s+SOA/mu);
  });
});
