import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Endpoint, Stream, StreamEvents } from '../../src/os/network.js';
import { ManualClock } from './clock.js';
import { MemoryNetwork } from './network.js';
import { seededRandom } from './random.js';

const server: Endpoint = { address: '10.0.0.10', port: 53 };

function world(seed = 1): { clock: ManualClock; network: MemoryNetwork } {
  const clock = new ManualClock(0);
  return { clock, network: new MemoryNetwork(clock, seededRandom(seed)) };
}

/** Events of a stream as text, with its data joined in `bytes`. */
class Recorder implements StreamEvents {
  readonly log: string[] = [];
  bytes = Buffer.alloc(0);
  opened(): void {
    this.log.push('opened');
  }
  data(bytes: Uint8Array): void {
    this.log.push(`data ${bytes.length}`);
    this.bytes = Buffer.concat([this.bytes, bytes]);
  }
  drained(): void {
    this.log.push('drained');
  }
  ended(): void {
    this.log.push('ended');
  }
  closed(error?: NodeJS.ErrnoException): void {
    this.log.push(error === undefined ? 'closed' : `closed ${error.code}`);
  }
}

async function connected(network: MemoryNetwork, clock: ManualClock) {
  const near = new Recorder();
  const far = new Recorder();
  let accepted: Stream | undefined;
  await network.listenStreams(server, (stream) => {
    accepted = stream;
    return far;
  });
  const stream = network.connectStream(server, near);
  clock.passMs(100);
  assert(accepted !== undefined);
  return { stream, near, accepted, far };
}

test('a datagram arrives with its sender, and the answer comes back', async () => {
  const { clock, network } = world();
  network.faults.latencyMs = 2;
  const heard: string[] = [];
  const bound = await network.openDatagrams(server, {
    datagram: (bytes, from) => {
      heard.push(`${Buffer.from(bytes)} from ${from.address} at ${clock.nowMs()}`);
      bound.send(Buffer.from('pong'), from);
    },
    error: assert.fail,
  });
  const client = network.connectDatagrams(
    server,
    {
      datagram: (bytes, from) => heard.push(`${Buffer.from(bytes)} from ${from.address} at ${clock.nowMs()}`),
      error: assert.fail,
    },
    '10.244.0.7',
  );
  client.send(Buffer.from('ping'), server);
  assert.deepEqual(heard, []);
  clock.passMs(10);
  assert.deepEqual(heard, ['ping from 10.244.0.7 at 2', 'pong from 10.0.0.10 at 4']);
  assert.deepEqual(network.traffic('udp', server), {
    flows: 1,
    packetsToServer: 1,
    packetsToClients: 1,
    bytesToServer: 4,
    bytesToClients: 4,
  });
  assert.equal(network.traffic('tcp', server).flows, 0);
});

test('bytes are borrowed both ways: the sender may reuse them, the receiver finds them overwritten', async () => {
  const { clock, network } = world();
  const kept: Uint8Array[] = [];
  const texts: string[] = [];
  const keep = (bytes: Uint8Array): void => {
    kept.push(bytes);
    texts.push(Buffer.from(bytes).toString());
  };
  await network.openDatagrams(server, { datagram: keep, error: assert.fail });
  await network.listenStreams(server, () => ({ data: keep, ended() {}, closed() {} }));
  const bytes = Buffer.from('mine');
  network.connectDatagrams(server, { datagram() {}, error: assert.fail }).send(bytes, server);
  network.connectStream(server, new Recorder()).write(bytes);
  bytes.fill(0);
  clock.passMs(1);
  assert.deepEqual(texts, ['mine', 'mine']);
  for (const late of kept) assert(late.every((byte) => byte === 0xdd));
});

test('a connected socket hears its peer only, and learns that nobody listens', async () => {
  const { clock, network } = world();
  const heard: string[] = [];
  const client = network.connectDatagrams(server, {
    datagram: (bytes) => heard.push(Buffer.from(bytes).toString()),
    error: (error) => heard.push(String(error.code)),
  });
  client.send(Buffer.from('?'), server);
  clock.passMs(1);
  assert.deepEqual(heard, ['ECONNREFUSED']);
  const stranger = await network.openDatagrams(
    { address: '10.0.0.66', port: 53 },
    { datagram() {}, error: assert.fail },
  );
  stranger.send(Buffer.from('spoofed'), client.local);
  clock.passMs(1);
  assert.deepEqual(heard, ['ECONNREFUSED']);
});

test('an unconnected socket is not told that nobody listens', async () => {
  const { clock, network } = world();
  const socket = await network.openDatagrams(
    { address: '10.0.0.1', port: 0 },
    { datagram: assert.fail, error: assert.fail },
  );
  assert.notEqual(socket.local.port, 0);
  socket.send(Buffer.from('?'), server);
  clock.passMs(1);
});

test('addresses in use are refused as Linux does it', async () => {
  const { network } = world();
  const events = { datagram() {}, error: assert.fail };
  const bind = (address: string, port = 53) => network.openDatagrams({ address, port }, events);
  const inUse = { code: 'EADDRINUSE' };
  const first = await bind('10.0.0.1');
  await assert.rejects(bind('10.0.0.1'), inUse);
  await assert.rejects(bind('0.0.0.0'), inUse);
  await bind('10.0.0.2');
  await bind('10.0.0.1', 54);
  await bind('::');
  await assert.rejects(bind('::1'), inUse);
  first.close();
  first.close();
  await bind('10.0.0.1');
  const listen = () => network.listenStreams(server, () => new Recorder());
  const listener = await listen();
  await assert.rejects(listen(), inUse);
  listener.close();
  await listen();
});

test('a wildcard hears every address and answers from the one that was asked', async () => {
  const { clock, network } = world();
  const answers: string[] = [];
  for (const address of ['0.0.0.0', '::']) {
    const socket = await network.openDatagrams(
      { address, port: 53 },
      { datagram: (_bytes, from) => socket.send(Buffer.from(address), from), error: assert.fail },
    );
  }
  for (const address of ['10.0.0.9', 'fd00::9']) {
    const client = network.connectDatagrams(
      { address, port: 53 },
      {
        datagram: (bytes, from) => answers.push(`${from.address}: ${Buffer.from(bytes)}`),
        error: assert.fail,
      },
    );
    client.send(Buffer.from('?'), { address, port: 53 });
  }
  clock.passMs(1);
  assert.deepEqual(answers, ['10.0.0.9: 0.0.0.0', 'fd00::9: ::']);
});

test('datagrams are lost, doubled and overtaken as the faults say, and a seed repeats it', async () => {
  async function run(seed: number): Promise<number[]> {
    const { clock, network } = world(seed);
    network.setFaultsTo(server, { dropShare: 0.2, duplicateShare: 0.2, reorderShare: 0.2, reorderMs: 5, jitterMs: 1 });
    const heard: number[] = [];
    await network.openDatagrams(server, { datagram: (bytes) => heard.push(bytes[0]), error: assert.fail });
    const client = network.connectDatagrams(server, { datagram() {}, error: assert.fail });
    for (let n = 0; n < 200; n++) {
      client.send(Uint8Array.of(n), server);
      clock.passMs(1);
    }
    clock.passMs(10);
    return heard;
  }
  const first = await run(7);
  assert.deepEqual(await run(7), first);
  assert.notDeepEqual(await run(8), first);
  const distinct = new Set(first);
  assert(distinct.size > 120 && distinct.size < 190, `${distinct.size} of 200 arrived`);
  assert(first.length > distinct.size, 'some came twice');
  assert(
    first.some((n, index) => index > 0 && n < first[index - 1]),
    'some overtook others',
  );
});

test('a connection opens, carries bytes in order, half-closes and closes', async () => {
  const { clock, network } = world();
  const { stream, near, accepted, far } = await connected(network, clock);
  stream.write(Buffer.from('one '));
  stream.write(Buffer.from('two'));
  stream.end();
  clock.passMs(1);
  assert.deepEqual(far.log, ['data 4', 'data 3', 'ended']);
  accepted.write(Buffer.from('three'));
  accepted.end();
  clock.passMs(1);
  assert.deepEqual(near.log, ['opened', 'data 5', 'ended', 'closed']);
  assert.deepEqual(far.log, ['data 4', 'data 3', 'ended', 'closed']);
  assert.equal(network.open.connections, 0);
  assert.equal(network.traffic('tcp', server).bytesToServer, 7);
  assert.equal(network.traffic('tcp', server).packetsToServer, 2);
});

test('what is written before the connection is open is sent when it is', async () => {
  const { clock, network } = world();
  network.faults.latencyMs = 1;
  const far = new Recorder();
  await network.listenStreams(server, () => far);
  const near = new Recorder();
  network.connectStream(server, near).write(Buffer.from('early'));
  clock.passMs(1);
  assert.deepEqual([near.log, far.log], [[], []]);
  clock.passMs(1);
  assert.deepEqual(near.log, ['opened']);
  clock.passMs(1);
  assert.equal(far.bytes.toString(), 'early');
});

test('connecting where nobody listens is refused, later', () => {
  const { clock, network } = world();
  const near = new Recorder();
  network.connectStream(server, near);
  assert.deepEqual(near.log, []);
  clock.passMs(0);
  assert.deepEqual(near.log, ['closed ECONNREFUSED']);
  network.setUnreachable(server);
  const unreachable = new Recorder();
  network.connectStream(server, unreachable);
  clock.passMs(0);
  assert.deepEqual(unreachable.log, ['closed EHOSTUNREACH']);
  assert.equal(network.open.connections, 0);
});

test('a closed listener refuses new connections and keeps the old ones', async () => {
  const { clock, network } = world();
  const far = new Recorder();
  const listener = await network.listenStreams(server, () => far);
  const old = network.connectStream(server, new Recorder());
  clock.passMs(0);
  listener.close();
  const late = new Recorder();
  network.connectStream(server, late);
  old.write(Buffer.from('still here'));
  clock.passMs(0);
  assert.deepEqual(late.log, ['closed ECONNREFUSED']);
  assert.equal(far.bytes.toString(), 'still here');
});

test('chunks are cut at the size asked for, or anywhere, and no byte is lost or moved', async () => {
  for (const chunks of [1, 3, 'random'] as const) {
    const { clock, network } = world();
    network.faults.chunks = chunks;
    const { stream, far } = await connected(network, clock);
    const sent = Buffer.from(Array.from({ length: 100 }, (_, n) => n));
    for (let at = 0; at < 100; at += 10) stream.write(sent.subarray(at, at + 10));
    clock.passMs(1);
    assert.deepEqual(far.bytes, sent);
    const sizes = far.log.map((line) => Number(line.slice(5)));
    if (chunks === 'random') assert(new Set(sizes).size > 2);
    else assert(sizes.every((size) => size <= chunks));
  }
});

test('a paused reader stops delivery, then the window, then the writer', async () => {
  const { clock, network } = world();
  network.faults.windowBytes = 10;
  const { stream, accepted, far } = await connected(network, clock);
  accepted.pause();
  stream.write(Buffer.alloc(25, 'x'));
  stream.end();
  clock.passMs(1);
  assert.equal(far.bytes.length, 0);
  assert.equal(stream.unsentBytes, 15);
  accepted.resume();
  clock.passMs(1);
  assert.equal(far.bytes.length, 25);
  assert.equal(stream.unsentBytes, 0);
  assert.equal(far.log.at(-1), 'ended');
});

test('a writer that was held up is told when everything has been taken', async () => {
  const { clock, network } = world();
  network.faults.windowBytes = 1_000;
  const { stream, accepted, near, far } = await connected(network, clock);
  stream.write(Buffer.alloc(2_000));
  clock.passMs(1);
  accepted.pause();
  stream.write(Buffer.alloc(70_000));
  clock.passMs(1);
  assert.deepEqual(near.log, ['opened']);
  accepted.resume();
  clock.passMs(1);
  assert.deepEqual(near.log, ['opened', 'drained']);
  assert.equal(far.bytes.length, 72_000);
});

test('a stall holds everything back, and its end lets it go on', async () => {
  const { clock, network } = world();
  const { stream, accepted, near, far } = await connected(network, clock);
  network.stall(server);
  stream.write(Buffer.from('there'));
  accepted.write(Buffer.from('back'));
  const late = new Recorder();
  network.connectStream(server, late);
  clock.passSeconds(60);
  assert.deepEqual([near.log, far.log, late.log], [['opened'], [], []]);
  network.resume(server);
  clock.passMs(0);
  assert.deepEqual([near.log, far.log, late.log], [['opened', 'data 4'], ['data 5'], ['opened']]);
});

test('resets reach both ends, once', async () => {
  const { clock, network } = world();
  const { stream, near, accepted, far } = await connected(network, clock);
  assert.equal(network.resetConnections(server), 1);
  stream.write(Buffer.from('lost'));
  stream.end();
  stream.destroy();
  accepted.destroy();
  clock.passMs(1);
  assert.deepEqual(near.log, ['opened', 'closed ECONNRESET']);
  assert.deepEqual(far.log, ['closed ECONNRESET']);
  assert.equal(network.resetConnections(server), 0);
  network.faults.resetShare = 1;
  const again = new Recorder();
  network.connectStream(server, again).write(Buffer.from('queued before it is open'));
  clock.passMs(1);
  assert.deepEqual(again.log, ['opened']);
});

test('a destroyed end closes silently, its peer sees the end, and a late write a reset', async () => {
  const { clock, network } = world();
  const { stream, near, accepted, far } = await connected(network, clock);
  stream.write(Buffer.from('last words'));
  stream.destroy();
  clock.passMs(1);
  assert.deepEqual(near.log, ['opened', 'closed']);
  assert.deepEqual(far.log, ['data 10', 'ended']);
  accepted.write(Buffer.from('too late'));
  clock.passMs(1);
  assert.deepEqual(far.log, ['data 10', 'ended', 'closed ECONNRESET']);
  assert.equal(network.open.connections, 0);
});

test('destroying with unread bytes is a reset at the peer', async () => {
  const { clock, network } = world();
  const { stream, accepted, far, near } = await connected(network, clock);
  stream.pause();
  accepted.write(Buffer.from('unread'));
  clock.passMs(1);
  stream.destroy();
  clock.passMs(1);
  assert.deepEqual(far.log, ['closed ECONNRESET']);
  assert.deepEqual(near.log, ['opened', 'closed']);
});

test('from gives connections an address of their own', async () => {
  const { clock, network } = world();
  let remote: Endpoint | undefined;
  await network.listenStreams(server, (stream) => {
    remote = stream.remote;
    return new Recorder();
  });
  network.from('10.244.1.5').connectStream(server, new Recorder());
  clock.passMs(0);
  assert.equal(remote?.address, '10.244.1.5');
});
