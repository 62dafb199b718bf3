import assert from 'node:assert/strict';
import { test } from 'node:test';
import { wireToName } from '../../src/dns/names.js';
import { questionFor } from '../../src/dns/query.js';
import { nodeDomainsMax, walksBegunMax, walksBegunMs } from '../../src/limits.js';
import { SearchDomains } from '../../src/resolve/search-domains.js';
import { fixture } from './context-fixture.js';

const outside = '. {\n cache\n nxdomain_cut on\n forward . 192.0.2.2\n}\n';
const question = (name: string) => questionFor(`${name}.`, 1);

function world(corefile = `cluster.local {\n cache\n forward . 192.0.2.1\n}\n${outside}`) {
  const { zone } = fixture(corefile);
  const [cluster, root] = [zone('cluster.local.'), zone('.')];
  const domains = new SearchDomains();
  return {
    ...{ domains, cluster, root },
    begun: (name: string, atMs = 0) => domains.begun(cluster, question(name), atMs),
    denied: (name: string, nowMs = 0, of = root) => domains.denied(of, question(name), nowMs),
    known: () => [...domains.all].map(({ wire }) => wireToName(wire, 0)),
  };
}

test('a domain is found where a walk’s name is denied with it behind, in any case', () => {
  const { begun, denied, known, domains, root } = world();
  begun('www.Example.com');
  denied('WWW.example.com.Corp.example');
  assert.deepEqual(known(), ['corp.example.']);
  assert.equal(domains.beginsAt(root, question('a.b.corp.EXAMPLE')), 4);
  assert.equal(domains.beginsAt(root, question('corp.example')), 0);
  assert.equal(domains.beginsAt(root, question('example')), -1);
  begun('www.example');
  denied('www.example.com.corp.example');
  assert.deepEqual(known(), ['corp.example.'], 'the second step of the walk');
  domains.clear();
  denied('www.example.com.corp.example');
  assert.deepEqual(known(), []);
});

test('none is found without such a walk, after it, in its own zone, or in a zone without cuts', () => {
  const { begun, denied, known, cluster } = world();
  begun('www.example.com');
  denied('www.example.com');
  denied('example.com.corp.example');
  denied('www.example.com.svc.cluster.local', 0, cluster);
  denied('www.example.com.corp.example', walksBegunMs);
  assert.deepEqual(known(), []);
  const without = world(`cluster.local {\n cache\n forward . 192.0.2.1\n}\n${outside.replace(' on', ' off')}`);
  without.begun('www.example.com');
  without.denied('www.example.com.corp.example');
  assert.deepEqual(without.known(), []);
});

test('walks and domains are remembered up to a bound, the youngest', () => {
  const { begun, denied, known } = world();
  begun('first.example.com');
  for (let index = 1; index < walksBegunMax; index++) begun(`www.a${index}.com`);
  for (let index = 0; index <= nodeDomainsMax; index++) denied(`first.example.com.d${index}.example`);
  assert.deepEqual([known().length, known()[0]], [nodeDomainsMax, 'd1.example.']);
  begun('www.last.com');
  denied('first.example.com.late.example');
  assert.ok(!known().includes('late.example.'));
});
