import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import packets from 'dns-packet';
import { overTcp } from '../../../src/counters.js';
import { byWhoami, whoami } from '../../../src/plugins/whoami/plugin.js';
import { podClient, query } from '../../resolve/context-fixture.js';

const isForwarded = (question: Uint8Array): boolean => question[0] === 8;
const make = whoami.start!(true, { isForwarded } as never)!.maker!;

/** What a question, name first, is answered with; undefined where it goes on. */
function answered(packet: Buffer, client = {}): packets.DecodedPacket | undefined {
  const question = packet.subarray(12);
  const made = make({ id: 7, flags: 0x0100, question, remote: '' }, { ...podClient, ...client });
  if (made.kind !== 'message') return undefined;
  assert.deepEqual([made.by, made.isForClientAlone], [byWhoami, true]);
  return packets.decode(Buffer.from(made.message));
}

const behind = (packet: Buffer, client = {}) =>
  (answered(packet, client)!.additionals as packets.SrvAnswer[]).map(({ name, type, ttl, class: of, data }) => ({
    ...{ name, type, ttl, class: of },
    data: typeof data === 'object' ? [data.priority, data.weight, data.port, data.target] : data,
  }));

describe('whoami', () => {
  it('tells an IPv4 client over UDP its address and port, and answers nothing', () => {
    const { answers, authorities, flag_aa: authoritative } = answered(query('example.org', 'A'))!;
    assert.deepEqual([answers, authorities, authoritative], [[], [], true]);
    assert.deepEqual(behind(query('Example.org', 'A')), [
      { name: 'Example.org', type: 'A', ttl: 0, class: 'IN', data: '10.244.0.7' },
      { name: '_udp.example.org', type: 'SRV', ttl: 0, class: 'IN', data: [0, 0, 4000, '.'] },
    ]);
  });

  it('tells an IPv6 client over TCP the same, without the scope of its address', () => {
    const remote = { address: 'fe80::7%eth0', port: 65535 };
    const [address, port] = behind(query('example.org', 'TXT'), { transport: overTcp, remote });
    assert.deepEqual([address.type, address.data], ['AAAA', 'fe80::7']);
    assert.deepEqual([port.name, port.data], ['_tcp.example.org', [0, 0, 65535, '.']]);
  });

  it('answers for the root, for any class and byte, and for a name too long for one more label', () => {
    const [root, underRoot] = behind(Buffer.concat([Buffer.alloc(12), Buffer.from([0, 0, 2, 0, 1])]));
    assert.deepEqual([root.name, underRoot.name], ['.', '_udp']);
    const odd = Buffer.from([3, 0x20, 0xff, 0x2e, 0, 0, 1, 0, 255]);
    assert.equal(behind(Buffer.concat([Buffer.alloc(12), odd])).length, 2);
    const label = Buffer.concat([Buffer.from([49]), Buffer.alloc(49, 'x')]);
    const longest = Buffer.concat([...Array(5).fill(label), Buffer.from([0, 0, 1, 0, 1])]);
    assert.equal(behind(Buffer.concat([Buffer.alloc(12), longest])).length, 1);
  });

  it('leaves to a forward what it takes', () => {
    assert.equal(answered(query('forwards.test', 'A')), undefined);
  });
});
