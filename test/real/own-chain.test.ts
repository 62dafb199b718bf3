/**
 * A server block that asks two others of the same process through its own ports, as CoreDNS documents it for several
 * providers over TLS: under load, over UDP and TCP, every question is answered.
 */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { type LoopbackZerohop, question, startOnLoopback } from './loopback.js';
import { type Client, freePort, openTcp, openUdp } from './packets.js';
import { goodAnswer, type StandIn, startStandIn } from './stand-in.js';

const questions = 4_000;
const atOnce = 100;

describe('a chain of own ports', () => {
  let upstream: StandIn;
  let zerohop: LoopbackZerohop;

  before(async () => {
    upstream = await startStandIn((query) => [goodAnswer(query)]);
    const inner = [await freePort(), await freePort()];
    const blocks = inner.map(
      (port) =>
        `.:${port} {\n bind 127.0.0.1\n errors\n cache\n forward . 127.0.0.1:${upstream.port} {\n force_tcp\n }\n`,
    );
    const outer = `errors\n loop\n forward . ${inner.map((port) => `127.0.0.1:${port}`).join(' ')}\n}\n`;
    // The last block is closed with the Corefile.
    zerohop = await startOnLoopback(outer + blocks.join('}\n'), question(1, 'good', 1));
  });
  after(async () => {
    await zerohop?.stop();
    upstream?.close();
  });

  /** Asks for distinct names, so many at a time; gives the rcodes with how often each came. */
  async function asksFrom(client: Client, prefix: string): Promise<Map<number, number>> {
    const rcodes = new Map<number, number>();
    let next = 0;
    const asker = async (): Promise<void> => {
      for (let id = next++; id < questions; id = next++) {
        client.send(question(id, `${prefix}${id}`, 1));
        const answer = await client.receive(id);
        const rcode = answer[3] & 0x0f;
        rcodes.set(rcode, (rcodes.get(rcode) ?? 0) + 1);
      }
    };
    await Promise.all(Array.from({ length: atOnce }, asker));
    return rcodes;
  }

  for (const [over, open] of [
    ['udp', openUdp],
    ['tcp', openTcp],
  ] as const) {
    test(`${questions} names over ${over}, ${atOnce} at a time, are all answered`, async () => {
      const client = await open(zerohop.place);
      assert.deepEqual([...(await asksFrom(client, over))], [[0, questions]]);
      client.close();
    });
  }
});
