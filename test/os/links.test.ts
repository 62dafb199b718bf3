import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { linkOf } from '../../src/os/links.js';
import { defaultRouteInterfaces } from '../../src/os/proc.js';
import { needs, output } from '../real/commands.js';
import { calls, skip } from './loopback-sockets.js';

const rights = skip || needs('root', 'ip');

describe('links of this namespace', { skip }, () => {
  test('lo has no kind, and a number that nobody has no link', () => {
    assert.deepEqual(linkOf(calls)(1), { name: 'lo', kind: '' });
    assert.equal(linkOf(calls)(0x7fff_fff0), null);
  });

  test('a veth and a bridge say what they are', { skip: rights }, async () => {
    const [veth, bridge] = [`zv${process.pid}`, `zb${process.pid}`].map((name) => name.slice(0, 15));
    await output(['ip', 'link', 'add', veth, 'type', 'veth', 'peer', 'name', `${veth}p`.slice(0, 15)]);
    await output(['ip', 'link', 'add', bridge, 'type', 'bridge']);
    try {
      const indexOf = async (name: string): Promise<number> =>
        (JSON.parse(await output(['ip', '-j', 'link', 'show', name])) as [{ ifindex: number }])[0].ifindex;
      assert.deepEqual(linkOf(calls)(await indexOf(veth)), { name: veth, kind: 'veth' });
      assert.deepEqual(linkOf(calls)(await indexOf(bridge)), { name: bridge, kind: 'bridge' });
    } finally {
      await output(['ip', 'link', 'delete', veth]);
      await output(['ip', 'link', 'delete', bridge]);
    }
  });

  test('without a socket, or where the kernel does not answer, there is no link', () => {
    assert.equal(linkOf({ ...calls, netlinkSocket: () => -97 })(1), null);
    assert.equal(linkOf({ ...calls, sendBytes: () => -1 })(1), null);
    assert.equal(linkOf({ ...calls, receiveBytes: () => -11 })(1), null);
  });
});

test('default routes lead over the interfaces that /proc names, of both families', () => {
  const files: Readonly<Record<string, string>> = {
    '/proc/self/net/route': [
      'Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT',
      'eth0\t00000000\t0100F40A\t0003\t0\t0\t0\t00000000\t0\t0\t0',
      'eth1\t0000F40A\t00000000\t0001\t0\t0\t0\t00FFFFFF\t0\t0\t0',
    ].join('\n'),
    '/proc/self/net/ipv6_route': [
      `${'0'.repeat(32)} 00 ${'0'.repeat(32)} 00 fd00${'0'.repeat(27)}1 00000400 00000001 00000000 00000003     eth2`,
      `${'0'.repeat(32)} 00 ${'0'.repeat(32)} 00 ${'0'.repeat(32)} ffffffff 00000001 00000000 00200200       lo`,
    ].join('\n'),
  };
  assert.deepEqual(
    defaultRouteInterfaces((path) => files[path]),
    ['eth0', 'eth2'],
  );
  assert.deepEqual(
    defaultRouteInterfaces(() => undefined),
    [],
  );
});
