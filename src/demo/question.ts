/** The demo as a client: one query over UDP, and the answer as the table shows it, for the types of its zones. */
import { nameToWire, rcodeName, typeNumber } from '../dns/names.js';
import { isReplyTo } from '../dns/own-queries.js';
import { recordTexts } from '../dns/record-text.js';
import { atQuestions, classIn, flagRd, messageRcode, setU16 } from '../dns/wire.js';
import { headerBytes, recordsMax } from '../limits.js';
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
        if (isReplyTo(bytes, query)) done({ ...readAnswer(bytes), afterMs: clock.nowMs() - sentMs });
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

/** Of an SRV record without priority and weight. */
function readAnswer(message: Uint8Array): { rcode: string; data: string[] } {
  const records = recordTexts(message, recordsMax).filter(({ section }) => section === 'answer');
  const data = records.map(({ type, data }) => (type === 'SRV' ? data.split(' ').slice(2).join(' ') : data));
  return { rcode: rcodeName(messageRcode(message)), data };
}
