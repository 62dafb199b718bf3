/** The demo as a client: one query over UDP, and the answer as the table shows it, for the types of its zones. */
import { canonicalAddress } from '../config/addresses.js';
import { nameToWire, rcodeName, typeName, typeNumber, wireToName } from '../dns/names.js';
import {
  atAnswers,
  atQuestions,
  classIn,
  flagQr,
  flagRd,
  messageFlags,
  messageId,
  messageRcode,
  setU16,
  skipName,
  u16,
} from '../dns/wire.js';
import { headerBytes } from '../limits.js';
import type { Clock } from '../os/clock.js';
import type { Endpoint, Network } from '../os/network.js';

export interface Question {
  /** With the closing dot. */
  readonly name: string;
  readonly type: string;
}

export interface DemoAnswer {
  readonly rcode: string;
  /** The answer section's data, each as in a zone file, without TTLs. */
  readonly data: readonly string[];
  readonly afterMs: number;
}

interface AskParts {
  readonly network: Network;
  readonly clock: Clock;
}

/** Asks `server` once; null without a matching answer within `timeoutMs`. */
export function askOnce(
  { network, clock }: AskParts,
  server: Endpoint,
  question: Question,
  { id, timeoutMs }: { readonly id: number; readonly timeoutMs: number },
): Promise<DemoAnswer | null> {
  const query = encodeQuestion(question, id);
  return new Promise((resolve) => {
    const socket = network.connectDatagrams(server, {
      datagram(bytes) {
        if (isAnswerTo(bytes, query)) done({ ...readAnswer(bytes), afterMs: clock.nowMs() - sentMs });
      },
      error: () => done(null),
    });
    const timer = clock.after(timeoutMs, () => done(null));
    const sentMs = clock.nowMs();
    socket.send(query, server);

    function done(answer: DemoAnswer | null): void {
      timer.stop();
      socket.close();
      resolve(answer);
    }
  });
}

function encodeQuestion({ name, type }: Question, id: number): Uint8Array {
  const wire = nameToWire(name);
  const query = new Uint8Array(headerBytes + wire.length + 4);
  setU16(query, 0, id);
  setU16(query, 2, flagRd);
  setU16(query, atQuestions, 1);
  query.set(wire, headerBytes);
  setU16(query, headerBytes + wire.length, typeNumber(type) ?? 0);
  setU16(query, headerBytes + wire.length + 2, classIn);
  return query;
}

/** The same id and the same question, byte for byte. */
function isAnswerTo(message: Uint8Array, query: Uint8Array): boolean {
  if (message.length < query.length || messageId(message) !== messageId(query)) return false;
  if ((messageFlags(message) & flagQr) === 0 || u16(message, atQuestions) !== 1) return false;
  return query.subarray(headerBytes).every((byte, index) => message[headerBytes + index] === byte);
}

function readAnswer(message: Uint8Array): { rcode: string; data: string[] } {
  const data: string[] = [];
  let at = skipName(message, headerBytes, message.length) + 4;
  for (let left = u16(message, atAnswers); left > 0; left--) {
    const fixedAt = skipName(message, at, message.length);
    const dataAt = fixedAt + 10;
    if (fixedAt === -1 || dataAt > message.length) break;
    const end = dataAt + u16(message, fixedAt + 8);
    if (end > message.length) break;
    data.push(dataText(message, u16(message, fixedAt), dataAt, end));
    at = end;
  }
  return { rcode: rcodeName(messageRcode(message)), data };
}

type ReadData = (message: Uint8Array, at: number, end: number) => string;

const dataReaders: Readonly<Record<string, ReadData>> = {
  A: (message, at, end) => [...message.subarray(at, end)].join('.'),
  AAAA: ipv6DataText,
  CNAME: (message, at) => wireToName(message, at),
  PTR: (message, at) => wireToName(message, at),
  SRV: (message, at) => `${u16(message, at + 4)} ${wireToName(message, at + 6)}`,
};

/** SRV without priority and weight; other types by their names. */
function dataText(message: Uint8Array, type: number, at: number, end: number): string {
  const name = typeName(type);
  return Object.hasOwn(dataReaders, name) ? dataReaders[name](message, at, end) : `(${name})`;
}

function ipv6DataText(message: Uint8Array, at: number, end: number): string {
  const groups: string[] = [];
  for (let pair = at; pair + 1 < end; pair += 2) groups.push(u16(message, pair).toString(16));
  return canonicalAddress(groups.join(':')) ?? groups.join(':');
}
