import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { Counters, countersMemory } from '../../src/counters.js';
import { tcpClientsMax } from '../../src/limits.js';
import type { Client as Asking } from '../../src/listen/client.js';
import { ListenError, newListeners, type WantedListener } from '../../src/listen/listeners.js';
import type { Endpoint, Network } from '../../src/os/network.js';
import { Client, encodeQuery, TcpClient } from '../simulation/client.js';
import { ManualClock } from '../simulation/clock.js';
import { MemoryNetwork } from '../simulation/network.js';
import { seededRandom } from '../simulation/random.js';
import { message, timeouts } from './tcp-world.js';

const one: Endpoint = { address: '169.254.20.10', port: 53 };
const other: Endpoint = { address: '169.254.20.11', port: 53 };
const keyOf = ({ address, port }: Endpoint) => `${address}:${port}`;

function newWorld(change: (network: MemoryNetwork) => Partial<Network> = () => ({})) {
  const clock = new ManualClock(0);
  const random = seededRandom(1);
  const network = new MemoryNetwork(clock, random);
  const counters = new Counters(countersMemory(0));
  const changed: Network = {
    openDatagrams: (at, events) => network.openDatagrams(at, events),
    connectDatagrams: (to, events, source) => network.connectDatagrams(to, events, source),
    listenStreams: (at, accepted) => network.listenStreams(at, accepted),
    connectStream: (to, events, source) => network.connectStream(to, events, source),
    connectPath: (path, events) => network.connectPath(path, events),
    ...change(network),
  };
  const listeners = newListeners({ network: changed, clock, counters });
  /** Packets that were served, and by which listener. */
  const served: { key: string; client: Asking; id: number }[] = [];
  /** A listener that echoes at once, or leaves the reply to the test. */
  const wanted = (at: Endpoint, answering: 'at once' | 'by hand' = 'at once', key = keyOf(at)): WantedListener => ({
    ...{ key, at, timeouts: () => timeouts, table: () => null, refresh() {}, refuse() {}, keep() {} },
    serve(packet, client) {
      const [high, low] = packet;
      served.push({ key, client, id: high * 256 + low });
      if (answering === 'at once') client.reply(packet);
    },
  });
  const asks = (to: Endpoint, id: number, transport: 'udp' | 'tcp') =>
    clock.until(
      new Client({ network, clock, random }, to).sends(encodeQuery('a.test', 'A', id), { transport, timeoutMs: 100 }),
    );
  return { clock, network, counters, listeners, served, wanted, asks };
}

const failing = (code: string) => () => Promise.reject(Object.assign(new Error(`it is ${code}`), { code }));

describe('newListeners', () => {
  it('answers UDP and TCP at one address and port, each by its own `serve`', async () => {
    const { listeners, wanted, asks, served } = newWorld();
    await listeners.open([wanted(one), wanted(other)]);
    for (const transport of ['udp', 'tcp'] as const) {
      for (const at of [one, other]) assert.equal((await asks(at, 7, transport)).bytes.readUInt16BE(), 7);
    }
    assert.deepEqual(
      served.map(({ key, client }) => [key, client.transport, keyOf(client.local)]),
      [one, other, one, other].map((at, index) => [keyOf(at), index < 2 ? 0 : 1, keyOf(at)]),
    );
    assert.deepEqual(listeners.endpoints(), [one, other]);
  });

  it('takes for TCP the port that the system chose for UDP', async () => {
    const { listeners, wanted, asks } = newWorld();
    await listeners.open([wanted({ ...one, port: 0 })]);
    const [bound] = listeners.endpoints();
    assert.notEqual(bound.port, 0);
    assert.equal((await asks(bound, 7, 'tcp')).bytes.readUInt16BE(), 7);
  });

  it('opens only what is not open yet', async () => {
    const { listeners, wanted, asks, served } = newWorld();
    await listeners.open([wanted(one)]);
    await listeners.open([{ ...wanted(one), serve: () => assert.fail('the first one serves') }, wanted(other)]);
    await asks(one, 7, 'udp');
    await asks(other, 8, 'udp');
    assert.deepEqual(
      served.map(({ id }) => id),
      [7, 8],
    );
  });

  it('leaves everything as it was when one cannot be opened, and says what to change', async () => {
    const { listeners, wanted, asks, network } = newWorld();
    await listeners.open([wanted(one)]);
    const taken: Endpoint = { address: '169.254.20.12', port: 53 };
    await network.listenStreams(taken, () => ({ data() {}, ended() {}, closed() {} }));
    await assert.rejects(listeners.open([wanted(one), wanted(other), wanted(taken)]), (error: Error) => {
      assert.ok(error instanceof ListenError);
      assert.match(error.message, /^cannot listen on 169\.254\.20\.12 port 53: address already in use; stop/u);
      return true;
    });
    assert.deepEqual(listeners.endpoints(), [one]);
    assert.equal((await asks(one, 7, 'tcp')).bytes.readUInt16BE(), 7);
    await assert.rejects(asks(other, 8, 'udp'));
    assert.equal(network.open.datagramSockets, 1, 'the UDP half of the one that failed is closed, too');
    await listeners.open([wanted(other)]);
  });

  it('says for each error of the system what to do about it', async () => {
    const sentences: [string, Endpoint, RegExp][] = [
      ['EACCES', one, /169\.254\.20\.10 port 53: not permitted; run as root, add the capability NET_BIND_SERVICE/u],
      ['EPERM', one, /not permitted/u],
      ['EADDRNOTAVAIL', one, /no interface has this address; add it to an interface/u],
      ['EADDRINUSE', { address: '::', port: 53 }, /cannot listen on port 53 on all addresses: address already in use/u],
      ['EMFILE', one, /too many open files; raise the limit to 1024 or more \(ulimit -n/u],
      ['EIO', one, /cannot listen on 169\.254\.20\.10 port 53: it is EIO/u],
    ];
    for (const [code, at, sentence] of sentences) {
      for (const verb of ['openDatagrams', 'listenStreams'] as const) {
        const { listeners, wanted, network } = newWorld(() => ({ [verb]: failing(code) }));
        await assert.rejects(listeners.open([wanted(at)]), sentence);
        assert.equal(network.open.datagramSockets, 0);
      }
    }
  });

  it('closes what is gone once it has answered what it was asked', async () => {
    const { clock, network, listeners, wanted, asks, served } = newWorld();
    await listeners.open([wanted(one), wanted(other, 'by hand')]);
    const client = new TcpClient(network, other);
    client.sends(message(7));
    await clock.pass(1);
    assert.equal(listeners.tcpClients, 1);
    listeners.keepOnly(new Set([keyOf(one)]));
    assert.deepEqual(listeners.endpoints(), [one]);
    served[0].client.reply(message(7));
    await clock.pass(10);
    assert.deepEqual(client.ids, [7]);
    client.end();
    await clock.pass(2_000);
    await assert.rejects(asks(other, 8, 'udp'));
    await assert.rejects(asks(other, 8, 'tcp'));
    assert.equal((await asks(one, 9, 'udp')).bytes.readUInt16BE(), 9);
    await listeners.open([wanted(other)]);
    assert.equal((await asks(other, 10, 'udp')).bytes.readUInt16BE(), 10, 'it may come back');
  });

  it('has one bound for the TCP clients of all', async () => {
    const { clock, network, listeners, wanted, counters } = newWorld();
    await listeners.open([wanted(one), wanted(other)]);
    const clients = Array.from({ length: tcpClientsMax + 2 }, (_, index) => {
      return new TcpClient(network.from(`10.1.${index >> 8}.${index & 255}`), index % 2 === 0 ? one : other);
    });
    await clock.pass(1);
    assert.equal(listeners.tcpClients, tcpClientsMax);
    assert.equal(counters.total('tcpClosedCrowded'), 2);
    assert.deepEqual(
      clients.filter(({ log }) => log.includes('ended')),
      clients.slice(0, 2),
    );
    clients[2].destroy();
    await clock.pass(1);
    assert.equal(listeners.tcpClients, tcpClientsMax - 1);
  });

  it('drains: answers what is in flight on all, takes no more, and says once that it is done', async () => {
    const { clock, network, listeners, wanted, served } = newWorld();
    await listeners.open([wanted(one, 'by hand'), wanted(other, 'by hand')]);
    const received: number[] = [];
    const socket = network.connectDatagrams(one, {
      datagram: (bytes) => void received.push(bytes[0] * 256 + bytes[1]),
      error() {},
    });
    socket.send(message(7), one);
    const client = new TcpClient(network, other);
    client.sends(message(8));
    await clock.pass(1);
    let done = 0;
    listeners.drain(() => done++);
    assert.deepEqual(listeners.endpoints(), []);
    await clock.pass(10);
    assert.equal(done, 0);
    for (const { client, id } of served) client.reply(message(id));
    await clock.pass(2_000);
    assert.deepEqual([received, client.ids, done], [[7], [8], 1]);
    socket.close();
    client.end();
    await clock.pass(10);
    assert.deepEqual(network.open, { datagramSockets: 0, connections: 0 });
  });

  it('is drained at once where nothing is open', () => {
    let done = 0;
    newWorld().listeners.drain(() => done++);
    assert.equal(done, 1);
  });
});

describe('an exception of one listener', () => {
  const planted = (): never => {
    throw new Error('planted');
  };
  /** UDP listeners of which the first cannot be drained. */
  const brokenAtFirst = () => {
    let opened = 0;
    const drained: number[] = [];
    const openUdp = async ({ at }: WantedListener) => {
      const number = opened++;
      const drain = (done: () => void): void => {
        drained.push(number);
        if (number === 0) planted();
        done();
      };
      return { local: at, drain, close() {} };
    };
    return { openUdp, drained };
  };

  it('keeps no other from being closed', async () => {
    const { clock, network, counters, wanted } = newWorld();
    const { openUdp, drained } = brokenAtFirst();
    const listeners = newListeners({ network, clock, counters, openUdp });
    await listeners.open([wanted(one), wanted(other)]);
    assert.throws(() => listeners.keepOnly(new Set()), /planted/u);
    assert.deepEqual([...new Set(drained)], [0, 1]);
  });
});
