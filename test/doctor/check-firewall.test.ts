/** What the firewall counts: our NOTRACK rules, and rules that drop. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  droppingChainsIn,
  firewallCheck,
  notrackCheck,
  readCountedRule,
  risen,
} from '../../src/doctor/check-firewall.js';
import { found, verdicts } from './outsides.js';

const raw = 'iptables-nft-save -c -t raw';
const filter = 'iptables-nft-save -c -t filter';

function rawRules(packets: number): string {
  const rule = (chain: string) =>
    `[${packets}:99] -A ${chain} -d 169.254.20.10/32 -p udp -m udp --dport 53 -m comment --comment "NodeLocal DNS Cache: skip conntrack" -j CT --notrack`;
  return `*raw\n:PREROUTING ACCEPT [7:8]\n${rule('PREROUTING')}\n${rule('OUTPUT')}\n[1:1] -A OUTPUT -j LOG\nCOMMIT\n`;
}

test('a counted line of iptables-save', () => {
  assert.deepEqual(readCountedRule('[12:3456] -A INPUT -j DROP'), { text: '-A INPUT -j DROP', packets: 12 });
  assert.deepEqual(readCountedRule(':INPUT DROP [5:300]'), { text: '-P INPUT DROP', packets: 5 });
  for (const line of ['', '-A INPUT -j DROP', '[a:b] -A INPUT', ':X - [0:0]', 'COMMIT']) {
    assert.equal(readCountedRule(line), undefined, line);
  }
});

test('NOTRACK rules that count are well; those that count nothing while queries come are not', async () => {
  assert.deepEqual(await verdicts(notrackCheck, { programs: { [raw]: rawRules(4) } }), { 'notrack-unused': 'ok' });
  const { 'notrack-unused': unused } = await found(notrackCheck, { programs: { [raw]: rawRules(0) } });
  assert.deepEqual([unused.verdict, unused.seen], ['fail', '2 NOTRACK rules, 0 packets, though 10,000 queries came']);
});

test('no alarm before queries come, with the kernel lane, and where others keep the rules', async () => {
  const programs = { [raw]: rawRules(0) };
  assert.deepEqual(await verdicts(notrackCheck, { programs, recent: { queries: 20 } }), { 'notrack-unused': 'ok' });
  assert.deepEqual(await verdicts(notrackCheck, { programs, facts: { hasKernelLane: true } }), {
    'notrack-unused': 'ok',
  });
  const skipped = { 'notrack-unused': 'skipped' };
  assert.deepEqual(await verdicts(notrackCheck, { programs, flags: { firewall: 'none' } }), skipped);
  assert.deepEqual(await verdicts(notrackCheck, { programs, networkNamespace: 'net:[2]' }), skipped);
  assert.deepEqual(await verdicts(notrackCheck, { facts: null }), skipped);
  assert.deepEqual(await verdicts(notrackCheck), skipped, 'no program can list them');
});

test('rules of nftables, which do not count, are enough; none at all are a fault', async () => {
  const table = 'nft list table inet zerohop';
  const empty = { [raw]: '*raw\nCOMMIT\n' };
  const there = { ...empty, [table]: 'set to4 { elements = { 169.254.20.10 . 53, 10.96.0.10 . 53 } }' };
  assert.deepEqual(await verdicts(notrackCheck, { programs: there }), { 'notrack-unused': 'ok' });
  const none = { ...empty, [table]: { ran: true, status: 1, stdout: '', stderr: 'No such file' } as const };
  assert.deepEqual(await verdicts(notrackCheck, { programs: none }), { 'notrack-unused': 'fail' });
  const refused = { ...empty, [table]: { ran: true, status: 1, stdout: '', stderr: 'not permitted' } as const };
  assert.deepEqual(await verdicts(notrackCheck, { programs: refused }), { 'notrack-unused': 'skipped' });
  assert.deepEqual(await verdicts(notrackCheck, { programs: none, facts: { upSeconds: 5 } }), {
    'notrack-unused': 'skipped',
  });
});

test('legacy tables that are there are counted too', async () => {
  const programs = { [raw]: rawRules(0), 'iptables-legacy-save -c -t raw': rawRules(9) };
  const files = { '/proc/net/ip_tables_names': 'raw\n' };
  assert.deepEqual(await verdicts(notrackCheck, { programs, files }), { 'notrack-unused': 'ok' });
});

const drops = (first: number, second: number): string =>
  `*filter\n:INPUT ACCEPT [1:1]\n[${first}:1] -A INPUT -p udp --dport 53 -j DROP\n[${second}:1] -A INPUT -s 192.0.2.0/24 -j DROP\n[4:4] -A INPUT -j ACCEPT\n`;

test('a rule that counted while a question stayed unanswered is named', async () => {
  let listed = 0;
  const programs: Record<string, string> = { [filter]: drops(3, 5) };
  const ran = (line: string): void => {
    if (line === filter && ++listed === 2) programs[filter] = drops(5, 5);
  };
  const { firewall } = await found(firewallCheck, { programs, ran, answers: (_, over) => over === 'TCP' });
  assert.equal(firewall.verdict, 'fail');
  assert.match(
    firewall.seen,
    /169\.254\.20\.10:53 over UDP.*the rule "-A INPUT -p udp --dport 53 -j DROP" counted 2 packets/,
  );
});

test('rules that drop others are no alarm while all questions are answered', async () => {
  const programs: Record<string, string> = { [filter]: drops(3, 5) };
  let listed = 0;
  const ran = (line: string): void => {
    if (line === filter) programs[filter] = drops(3, 5 + ++listed);
  };
  assert.deepEqual(await verdicts(firewallCheck, { programs, ran }), { firewall: 'ok' });
});

test('a rule that drops the packets of others all the time is not named', async () => {
  const programs: Record<string, string> = { [filter]: drops(3, 5) };
  let listed = 0;
  const ran = (line: string): void => {
    if (line === filter) programs[filter] = drops(3, 5 + 4 * ++listed);
  };
  assert.deepEqual(await verdicts(firewallCheck, { programs, ran, answers: () => false }), { firewall: 'ok' });
});

test('a rule for port 53 is named, however much of the pods it drops all the time', async () => {
  for (const rule of ['-p udp -m udp --dport 53 -j DROP', '-p udp -m multiport --dports 53,123 -j REJECT']) {
    const counted = (packets: number): string => `[${packets}:1] -A INPUT ${rule}\n`;
    const programs: Record<string, string> = { [filter]: counted(10) };
    let listed = 0;
    const ran = (line: string): void => {
      if (line === filter) programs[filter] = counted(10 + 40 * ++listed);
    };
    const { firewall } = await found(firewallCheck, { programs, ran, answers: () => false });
    assert.match(firewall.seen, new RegExp(`the rule "-A INPUT ${rule}" counted 40 packets`));
  }
});

test("kube-proxy's rule for a Service without endpoints is no firewall", async () => {
  const rejects = (packets: number): string =>
    `[${packets}:1] -A KUBE-SERVICES -d 10.96.0.11/32 -p udp -m comment --comment "kube-system/kube-dns-upstream:dns has no endpoints" -m udp --dport 53 -j REJECT --reject-with icmp-port-unreachable\n`;
  const programs: Record<string, string> = { [filter]: rejects(1) };
  let listed = 0;
  const ran = (line: string): void => {
    if (line === filter && ++listed === 2) programs[filter] = rejects(5);
  };
  assert.deepEqual(await verdicts(firewallCheck, { programs, ran, answers: () => false }), { firewall: 'ok' });
});

test('silence without a rule that counted is not the fault of this firewall', async () => {
  const programs = { [filter]: drops(3, 5) };
  assert.deepEqual(await verdicts(firewallCheck, { programs, answers: () => false }), { firewall: 'ok' });
});

test('a chain of nftables that drops by policy may be the reason', async () => {
  const programs = {
    [filter]: drops(3, 5),
    'nft list chains':
      'table inet host {\n\tchain in {\n\t\ttype filter hook input priority filter; policy drop;\n\t}\n\tchain out {\n\t\ttype filter hook output priority filter; policy accept;\n\t}\n}\n',
  };
  const { firewall } = await found(firewallCheck, { programs, answers: () => false });
  assert.equal(firewall.verdict, 'warn');
  assert.match(firewall.seen, /the chain in of the table inet host drops what it does not accept/);
  assert.deepEqual(droppingChainsIn('garbage\npolicy drop'), ['the chain  of the table ']);
});

test('the busiest rule comes first, a new one has counted nothing of ours', () => {
  const before = [
    { text: 'a', packets: 1 },
    { text: 'b', packets: 1 },
  ];
  const after = [
    { text: 'a', packets: 2 },
    { text: 'b', packets: 9 },
    { text: 'c', packets: 50 },
  ];
  assert.deepEqual(risen(before, after), [
    { text: 'b', packets: 8 },
    { text: 'a', packets: 1 },
  ]);
});
