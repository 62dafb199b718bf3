import assert from 'node:assert/strict';
import { describe, it, test } from 'node:test';
import fc from 'fast-check';
import { clientKinds, kindOf } from '../../src/config/client-kinds.js';
import { parseConfig } from '../../src/config/load.js';
import { addressBytes } from '../../src/os/addresses.js';
import { newAcl } from '../../src/plugins/acl/rules.js';
import { loadOptions } from '../resolve/context-fixture.js';
import { questionFor } from '../resolve/plan-fixture.js';

const blockOf = (...lines: string[]) =>
  parseConfig(`. {\n${lines.join('\n')}\nforward . 192.0.2.1\n}`, 'Corefile', loadOptions).blocks[0];
const aclsOf = (...acls: string[]) => blockOf(...acls.map((rules) => `acl {\n${rules}\n}`)).traits.access;
const kinds = (rules: string, ...addresses: string[]) =>
  addresses.map((address) => kindOf(aclsOf(rules), addressBytes(address)));

describe('kindOf', () => {
  it('is the same for clients to whom the same rules come, in whatever network they are', () => {
    const [one, two, other, v6] = kinds(
      'allow net 10.1.0.0/16\nallow net 10.2.0.0/16 fd00::/8\nblock',
      ...['10.1.0.1', '10.2.0.1', '10.3.0.1', 'fd00::1'],
    );
    assert.deepEqual([one === two, one === v6, one === other], [true, true, false]);
  });

  it('looks no further than the first rule about all types', () => {
    const [one, other] = kinds('allow net 10.0.0.0/8\nblock net 10.1.0.0/16', '10.1.0.1', '10.2.0.1');
    assert.equal(one, other);
  });

  it('tells rules about other types apart, and those of another acl', () => {
    const [one, other] = kinds('block type A net 10.1.0.0/16\nblock type AAAA net 10.2.0.0/16', '10.1.0.1', '10.2.0.1');
    assert.notEqual(one, other);
    const acls = aclsOf('block net 10.1.0.0/16', 'block net 10.2.0.0/16');
    assert.notEqual(kindOf(acls, addressBytes('10.1.0.1')), kindOf(acls, addressBytes('10.2.0.1')));
  });
});

test('clientKinds has the kind of every client, and clients of one kind get the same verdicts', () => {
  const network = fc.constantFrom(
    '10.0.0.0/8',
    '10.1.0.0/16',
    '10.1.2.0/24',
    '10.1.2.3',
    'fd00::/8',
    'fd00:1::/32',
    '*',
  );
  const rule = fc
    .tuple(
      fc.constantFrom('allow', 'block', 'filter', 'drop'),
      fc.constantFrom('', ' type A', ' type AAAA', ' type A AAAA'),
      fc.array(network, { minLength: 1, maxLength: 3 }),
    )
    .map(([action, types, networks]) => `${action}${types} net ${networks.join(' ')}`);
  const acl = fc.array(rule, { minLength: 1, maxLength: 4 }).map((rules) => rules.join('\n'));
  const addresses = [
    '10.1.2.3',
    '10.1.2.4',
    '10.1.9.9',
    '10.9.9.9',
    '192.0.2.1',
    'fd00:1::1',
    'fd00:2::1',
    '2001:db8::1',
  ];
  fc.assert(
    fc.property(fc.array(acl, { minLength: 1, maxLength: 3 }), (written) => {
      const acls = aclsOf(...written);
      const all = clientKinds(acls);
      const verdicts = new Map<string, string>();
      for (const address of addresses) {
        const kind = kindOf(acls, addressBytes(address));
        assert.ok(all.includes(kind), `${address} ${kind}`);
        const said = acls.flatMap((one) =>
          ['A', 'AAAA', 'MX'].map((type) =>
            newAcl([one])!.judge({ question: questionFor('a.test', type), remote: address, ordinal: 0 }),
          ),
        );
        assert.equal(verdicts.get(kind) ?? said.join(), said.join(), address);
        verdicts.set(kind, said.join());
      }
    }),
  );
});

test('asks other names: rewrite, autopath, dns64, and templates that make answers', () => {
  const files = { ...loadOptions.files, read: () => 'search a.test\n', exists: () => true };
  const withFiles = (line: string) =>
    parseConfig(`. {\n${line}\n forward . 192.0.2.1\n}`, 'Corefile', { ...loadOptions, files }).blocks[0];
  for (const line of [
    'rewrite name a.test b.test',
    'autopath /etc/pods.conf',
    'dns64',
    'template IN A a.test {\nanswer "{{ .Name }} 60 IN CNAME b.test."\n}',
  ]) {
    assert.equal(withFiles(line).traits.asksOtherNames, true, line);
  }
  for (const line of ['cache', 'acl {\nblock\n}', 'template IN MX a.test {\nrcode NXDOMAIN\n}', 'aaaa smart']) {
    assert.equal(withFiles(line).traits.asksOtherNames, false, line);
  }
});
