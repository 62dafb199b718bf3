/**
 * The demo's stand-in for the cluster DNS: one loopback port, UDP and pipelined TCP, answers from zones.ts. For the
 * demo only: it truncates nothing (answers are small) and has no idle timeout.
 */
import { FrameReader, frameHeaderBytes, writeFrame } from '../dns/frame.js';
import { wireToName } from '../dns/names.js';
import { Query, questionOf, type Refusal, readQuery } from '../dns/query.js';
import { encodeResponse } from '../dns/records.js';
import { atFlags, messageId, rcodeFormErr, rcodeNotImp, rcodeRefused, setU16 } from '../dns/wire.js';
import { headerBytes, tcpClientsMax, tcpClientUnsentBytesMax, udpBytesDefault } from '../limits.js';
import type { Endpoint, Network, Stream, StreamEvents } from '../os/network.js';
import type { Lookup } from './zones.js';

export interface StandIn {
  /** For TCP and UDP. */
  readonly at: Endpoint;
  close(): void;
}

interface StandInParts {
  readonly network: Network;
  readonly lookup: Lookup;
  /** Called before each answer, with the name as queried. */
  asked(name: string, type: number): void;
}

/** Opens it on a free port of `address`. Rejects with the system's error. */
export async function openStandIn(parts: StandInParts, address: string): Promise<StandIn> {
  const streams = new Set<Stream>();
  const listener = await parts.network.listenStreams({ address, port: 0 }, (stream) =>
    serveStream(parts, stream, streams),
  );
  try {
    const datagrams = await parts.network.openDatagrams(listener.local, {
      datagram(bytes, from) {
        const answer = answerTo(parts, bytes);
        if (answer !== null) datagrams.send(answer, from);
      },
      // The client is gone.
      error() {},
    });
    return {
      at: listener.local,
      close() {
        listener.close();
        datagrams.close();
        for (const stream of streams) stream.destroy();
      },
    };
  } catch (error) {
    listener.close();
    throw error;
  }
}

function serveStream(parts: StandInParts, stream: Stream, streams: Set<Stream>): StreamEvents {
  streams.add(stream);
  const reader = new FrameReader();
  if (streams.size > tcpClientsMax) stream.destroy();
  return {
    data(bytes) {
      reader.push(bytes, (message) => {
        const answer = answerTo(parts, message);
        if (answer !== null) stream.write(framed(answer));
      });
      if (stream.unsentBytes > tcpClientUnsentBytesMax) stream.destroy();
    },
    ended: () => stream.end(),
    closed: () => streams.delete(stream),
  };
}

function framed(message: Uint8Array): Uint8Array {
  const frame = new Uint8Array(frameHeaderBytes + message.length);
  writeFrame(frame, 0, message);
  return frame;
}

const rcodesOfRefusals: Readonly<Record<Exclude<Refusal, 'drop'>, number>> = {
  formerr: rcodeFormErr,
  notimp: rcodeNotImp,
  refused: rcodeRefused,
  // BADVERS would need an OPT; servers without EDNS answer FORMERR (RFC 6891 7).
  badvers: rcodeFormErr,
};

function answerTo({ lookup, asked }: StandInParts, packet: Uint8Array): Uint8Array | null {
  const query = new Query();
  const refusal = readQuery(packet, packet.length, query);
  if (refusal === 'drop') return null;
  if (refusal !== 'ok') return refused(packet, rcodesOfRefusals[refusal]);
  const name = wireToName(packet, headerBytes);
  asked(name, query.type);
  const found = lookup(name, query.type);
  return encodeResponse({
    ...found,
    id: messageId(packet),
    question: questionOf(packet, query),
    recursionDesired: query.recursionDesired,
    recursionAvailable: true,
    checkingDisabled: query.checkingDisabled,
    additional: query.edns ? [...found.additional, optRecord(query.dnssecOk)] : found.additional,
  });
}

/** A header: QR, the query's opcode and RD, the rcode. */
function refused(packet: Uint8Array, rcode: number): Uint8Array {
  const header = new Uint8Array(headerBytes);
  header.set(packet.subarray(0, atFlags));
  header[atFlags] = 0x80 | (packet[atFlags] & 0x79);
  header[atFlags + 1] = rcode;
  return header;
}

/** An OPT (RFC 6891 6.1.2): root, type 41, our size as class, version 0, DO as queried. */
function optRecord(dnssecOk: boolean): Uint8Array {
  const record = new Uint8Array(11);
  record[2] = 41;
  setU16(record, 3, udpBytesDefault);
  if (dnssecOk) record[7] = 0x80;
  return record;
}
