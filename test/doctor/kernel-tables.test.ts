/** Tables of /proc and control groups: as kernels print them, cut, malformed and huge. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  eachFlowTo,
  hasIpv6Route,
  kernelVersion,
  keyedNumber,
  parseConntrackStat,
  parseSocketRows,
  parseSoftnetDrops,
  snmpUdp,
  soleNumber,
  type TrackedFlow,
} from '../../src/doctor/kernel-tables.js';

const udpTable = `   sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode ref pointer drops
  936: 3500007F:0035 00000000:0000 07 00000000:00000000 00:00000000 00000000   101        0 152496 2 00000000f2323e08 3
 2147: 0A14FEA9:0035 00000000:0000 07 00000000:00000000 00:00000000 00000000     0        0 152493 2 000000008feb00fb 0
`;

test('sockets of /proc/net/udp, with what found their queue full', () => {
  assert.deepEqual(parseSocketRows(udpTable), [
    { address: '127.0.0.53', port: 53, user: 101, inode: 152496, state: '07', drops: 3 },
    { address: '169.254.20.10', port: 53, user: 0, inode: 152493, state: '07', drops: 0 },
  ]);
});

test('sockets of /proc/net/tcp6, which has no column of drops', () => {
  const line =
    '   0: 00000000000000000000000000000000:1F90 00000000000000000000000000000000:0000 0A 00000000:00000000 00:00000000 00000000  1000        0 99 1 0000 100 0 0 10 0';
  const [row] = parseSocketRows(
    `${line}\n   1: 000080FE00000000FF005450B6AD1DFE:0016 ${'0'.repeat(32)}:0000 0A 0:0 00:0 0 7 0 8 1\n`,
  );
  assert.deepEqual([row.address, row.port, row.user, row.state], ['::', 8080, 1000, '0A']);
  assert.equal(parseSocketRows(line).length, 1);
});

test('rows that are cut or malformed are left out', () => {
  for (const text of [
    '',
    '\0\0',
    'sl local',
    '1: 0100007F',
    '1: 0100007F:00ZZ a b c d e f g h',
    '1: 01:0035 0 07 0 0 0 0 0 5',
  ]) {
    assert.deepEqual(parseSocketRows(text), [], text);
  }
  assert.deepEqual(parseSocketRows(udpTable.slice(0, -60)).length, 1);
});

test('conntrack counts are summed over processors, by the names of the head', () => {
  const stat = parseConntrackStat(
    'entries  found insert_failed drop early_drop\n0000000a  00 00000001 000000ff 0\n0000000a  00 00000002 00000001 1\n',
  );
  assert.deepEqual(Object.fromEntries(stat), { entries: 20, found: 0, insert_failed: 3, drop: 256, early_drop: 1 });
  assert.equal(parseConntrackStat('').size, 0);
  assert.deepEqual(Object.fromEntries(parseConntrackStat('a b\nxyz 1 2 3\n')), { b: 1 });
});

test('packets dropped at the queues of processors', () => {
  assert.equal(parseSoftnetDrops('0311a6a4 00000000 00000000\n02d85745 0000001f 00000001\n'), 31);
  assert.equal(parseSoftnetDrops('nonsense\n\n1 2'), 0);
});

test('a counter of UDP in /proc/net/snmp', () => {
  const text = 'Tcp: A B\nTcp: 1 2\nUdp: InDatagrams RcvbufErrors\nUdp: 88 4\nUdpLite: x\n';
  assert.equal(snmpUdp(text, 'RcvbufErrors'), 4);
  assert.equal(snmpUdp(text, 'SndbufErrors'), undefined);
  assert.equal(snmpUdp('', 'RcvbufErrors'), undefined);
  assert.equal(snmpUdp('Udp: A\n', 'A'), undefined);
});

const flowLines = [
  'ipv4     2 udp      17 25 src=10.244.3.7 dst=10.96.0.10 sport=40000 dport=53 [UNREPLIED] src=10.244.1.2 dst=10.244.3.7 sport=53 dport=40000 mark=0 use=2',
  'ipv4     2 tcp      6 86400 ESTABLISHED src=10.244.3.8 dst=10.96.0.10 sport=40001 dport=53 src=10.244.1.2 dst=10.244.3.8 sport=53 dport=40001 [ASSURED] mark=0 use=1',
  'ipv4     2 udp      17 25 src=10.244.3.9 dst=10.0.0.1 sport=53 dport=4444 src=10.0.0.1 dst=10.244.3.9 sport=4444 dport=53 mark=0 use=1',
  'ipv6     10 udp      17 9 src=fd00:0000:0000:0000:0000:0000:0000:0007 dst=fd00:0000:0000:0000:0000:0000:0000:000a sport=1 dport=53 src=a dst=b sport=53 dport=1 use=2',
];

function flowsIn(pieces: readonly Uint8Array[]): TrackedFlow[] {
  const flows: TrackedFlow[] = [];
  eachFlowTo(53, pieces, (flow) => void flows.push(flow));
  return flows;
}

test('flows to a port, wherever the file was cut', () => {
  const bytes = Buffer.from(`${flowLines.join('\n')}\n`);
  const wanted: TrackedFlow[] = [
    { protocol: 'udp', from: '10.244.3.7', to: '10.96.0.10' },
    { protocol: 'tcp', from: '10.244.3.8', to: '10.96.0.10' },
    { protocol: 'udp', from: 'fd00::7', to: 'fd00::a' },
  ];
  for (let cut = 0; cut <= bytes.length; cut += 13) {
    assert.deepEqual(flowsIn([bytes.subarray(0, cut), bytes.subarray(cut)]), wanted, `cut at ${cut}`);
  }
});

test('malformed flows are left out, and a hundred thousand are read', () => {
  assert.deepEqual(flowsIn([Buffer.from(' dport=53 \nipv4 2 udp dport=53 src=x\n\0\xff')]), []);
  assert.deepEqual(flowsIn([]), []);
  const many = Buffer.from(`${flowLines[0]}\n`.repeat(100_000));
  assert.equal(flowsIn([many]).length, 100_000);
});

test('a default route of IPv6, which the rejecting one of lo is not', () => {
  const zero = '0'.repeat(32);
  const row = (device: string, bits = '00') =>
    `${zero} ${bits} ${zero} 00 fe800000000000000000000000000001 00000400 1 0 3 ${device}`;
  assert.equal(hasIpv6Route(`${row('lo')}\n${row('eth0', '40')}\n`), false);
  assert.equal(hasIpv6Route(`${row('lo')}\n${row('eth0')}\n`), true);
  assert.equal(hasIpv6Route(''), false);
});

test('numbers of files', () => {
  assert.equal(keyedNumber('low 1\noom_kill 2\n', 'oom_kill'), 2);
  assert.equal(keyedNumber('oom_kill_disable 0\n', 'oom_kill'), undefined);
  assert.equal(keyedNumber(undefined, 'oom_kill'), undefined);
  assert.equal(soleNumber('536870912\n'), 536870912);
  for (const text of ['max\n', '', '-1', '1 2', undefined]) assert.equal(soleNumber(text), undefined);
  assert.deepEqual(kernelVersion('6.1.0-18-amd64\n'), { major: 6, minor: 1 });
  assert.equal(kernelVersion('Linux'), undefined);
});
