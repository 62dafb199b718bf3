/**
 * The server that the conformance suite speaks to. By default a zerohop that it starts, over real loopback sockets
 * and before a scripted upstream; with SUBJECT=host:port any other, about which only what a client alone can see is
 * tested, and the tests that need the upstream are named as left out. RFC numbers in the tests' names are checked
 * against docs/PROTOCOL.md by test/docs/conformance.test.ts.
 */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { startOnLoopback } from '../real/loopback.js';
import { type Client, openTcp, openUdp, type Place } from '../real/packets.js';
import { query, readMessage, type WireMessage } from './message.js';
import { openScripted, type ScriptedUpstream } from './upstream.js';

export type Transport = 'udp' | 'tcp';

export interface Subject {
  readonly place: Place;
  /** Sends these bytes from a socket of its own and gives the one answer. */
  exchange(packet: Uint8Array, transport?: Transport): Promise<Buffer>;
  /** The same, read. */
  asks(packet: Uint8Array, transport?: Transport): Promise<WireMessage>;
  /** Fails unless this packet brings no answer, while a good question behind it on the same socket brings one. */
  staysSilent(packet: Uint8Array): Promise<void>;
}

/** The subject, with the upstream that it asks. */
export interface WithUpstream extends Subject {
  readonly upstream: ScriptedUpstream;
}

const { SUBJECT: given } = process.env;

export interface Suite {
  /** Holds for any server. */
  anyServer(name: string, run: (subject: Subject) => Promise<void>): void;
  /** Needs the scripted upstream. */
  withUpstream(name: string, run: (subject: WithUpstream) => Promise<void>): void;
}

/** Starts the server once for a file of tests; `lines` go into its Corefile, beside `forward`. */
export function suite({ lines, transport = '' }: { readonly lines: string; readonly transport?: string }): Suite {
  let subject: Subject | null = null;
  let upstream: ScriptedUpstream | null = null;
  let stop = async (): Promise<void> => {};
  before(async () => {
    if (given !== undefined) {
      subject = subjectAt(placeOf(given));
      return;
    }
    upstream = await openScripted();
    const forward = `forward . 127.0.0.1:${upstream.port} {\n        ${transport}\n    }`;
    const zerohop = await startOnLoopback(`${lines}\n    ${forward}`, query({ name: 'first.conformance.test' }));
    subject = subjectAt(zerohop.place);
    stop = () => zerohop.stop();
  });
  after(async () => {
    await stop();
    upstream?.close();
  });
  return {
    anyServer: (name, run) => void test(name, () => run(subject as Subject)),
    withUpstream(name, run) {
      const skip = given === undefined ? false : `needs the scripted upstream, and ${given} does not ask it`;
      test(name, { skip }, () => run({ ...(subject as Subject), upstream: upstream as ScriptedUpstream }));
    },
  };
}

function placeOf(text: string): Place {
  const [, address, port] = /^(.*):(\d+)$/.exec(text) ?? [];
  assert(address !== undefined, `SUBJECT is HOST:PORT, not ${text}`);
  return { address, port: Number(port) };
}

function subjectAt(place: Place): Subject {
  const exchange: Subject['exchange'] = async (packet, transport = 'udp') => {
    const client = await openClient(place, transport);
    try {
      client.send(packet);
      return await client.receive(Buffer.from(packet).readUInt16BE(0));
    } finally {
      client.close();
    }
  };
  return {
    place,
    exchange,
    asks: async (packet, transport) => readMessage(await exchange(packet, transport)),
    async staysSilent(packet) {
      const client = await openClient(place, 'udp');
      client.send(packet);
      const good = query({ id: 0x4242, name: 'good.conformance.test' });
      client.send(good);
      await client.receive(0x4242);
      assert.deepEqual(client.left(), []);
      client.close();
    },
  };
}

/** A socket to the subject that stays open. */
export function openClient(place: Place, transport: Transport): Promise<Client> {
  return transport === 'udp' ? openUdp(place) : openTcp(place);
}
