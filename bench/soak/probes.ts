/** What is looked at while the soak goes on: how soon the main thread answers, and what the kernel and zerohop lost. */
import { readFileSync } from 'node:fs';
import { setTimeout as pause } from 'node:timers/promises';
import { openTcp, type Place } from '../../test/real/packets.js';
import { sumOf } from '../load/beside.js';
import { addressQuery } from '../load/serving.js';

const askEveryMs = 20;

/** The longest that a TCP client, whom the main thread answers, has waited for an answer until `over`. */
export async function worstOverTcp(to: Place, question: string, over: AbortSignal): Promise<number> {
  const client = await openTcp(to);
  const query = addressQuery(question);
  let worstMs = 0;
  try {
    while (!over.aborted) {
      const sentMs = performance.now();
      client.send(query);
      await client.receive(query.readUInt16BE(0));
      worstMs = Math.max(worstMs, performance.now() - sentMs);
      await pause(askEveryMs, undefined, { signal: over }).catch(() => {});
    }
    return worstMs;
  } finally {
    client.close();
  }
}

/** Everything that may become of a packet that is not answered, as far as somebody counts it. */
export interface LossCounts {
  /** Datagrams for which no socket of this machine had room. */
  readonly kernel: number;
  /** Packets that zerohop has thrown away. */
  readonly dropped: number;
  /** Answers that the kernel did not take from zerohop. */
  readonly unsent: number;
}

export function lossCounts(metrics: string, snmp = readFileSync('/proc/net/snmp', 'utf8')): LossCounts {
  return {
    kernel: udpErrors(snmp),
    dropped: sumOf(metrics, 'zerohop_dropped_packets_total'),
    unsent: sumOf(metrics, 'zerohop_send_failures_total'),
  };
}

export function lossesBetween(before: LossCounts, after: LossCounts): LossCounts {
  return {
    kernel: after.kernel - before.kernel,
    dropped: after.dropped - before.dropped,
    unsent: after.unsent - before.unsent,
  };
}

function udpErrors(snmp: string): number {
  const [names, values] = snmp
    .split('\n')
    .filter((line) => line.startsWith('Udp: '))
    .map((line) => line.split(' '));
  const value = (name: string): number => Number(values[names.indexOf(name)] ?? 0);
  return value('RcvbufErrors') + value('SndbufErrors');
}
