/**
 * The doctor's questions: one over UDP or TCP from a socket of its own, or A and AAAA at once from one socket, as a pod's
 * resolver sends them. An answer counts whatever its rcode; silence, a closed port and a question that the budget
 * refused are told apart, because they mean different things.
 */
import { FrameReader, frameHeaderBytes, writeFrame } from '../dns/frame.js';
import { lowerCaseName } from '../dns/names.js';
import { isReplyTo } from '../dns/own-queries.js';
import { questionFor } from '../dns/query.js';
import { recordTexts } from '../dns/record-text.js';
import { atFlags, atQuestions, flagRd, messageRcode, setU16, typeA, typeAaaa } from '../dns/wire.js';
import { doctorGraceMs, doctorPairsNextMs, headerBytes, recordsMax } from '../limits.js';
import type { Clock, Timer } from '../os/clock.js';
import type { Endpoint } from '../os/network.js';
import type { DoctorOutsides } from './check.js';
import { pause } from './found.js';
import { overBudgetCode } from './question-budget.js';

export type ProbeTransport = 'udp' | 'tcp';

export type ProbeReply =
  | {
      readonly answered: true;
      readonly rcode: number;
      /** Of the answer section's A and AAAA records. */
      readonly addresses: readonly string[];
      /** Of the answer section's PTR records; lower-case, with the closing dot. */
      readonly names: readonly string[];
      readonly afterMs: number;
    }
  /** `unreachable`: this node has no route, or does not allow it. `unasked`: the run may send no more questions. */
  | { readonly answered: false; readonly why: 'silent' | 'closed' | 'unreachable' | 'unasked' };

interface ProbeQuestion {
  readonly server: Endpoint;
  /** With the closing dot. */
  readonly name: string;
  readonly type: number;
  readonly over: ProbeTransport;
  readonly timeoutMs: number;
}

type ProbeParts = Pick<DoctorOutsides, 'network' | 'clock' | 'random'>;

/** Asks once; never rejects. */
export function probeServer(parts: ProbeParts, question: ProbeQuestion): Promise<ProbeReply> {
  const query = probePacket(parts, question);
  return question.over === 'udp' ? probeOverUdp(parts, question, query) : probeOverTcp(parts, question, query);
}

function probePacket({ random }: ProbeParts, { name, type }: Pick<ProbeQuestion, 'name' | 'type'>): Uint8Array {
  const question = questionFor(name, type);
  const query = new Uint8Array(headerBytes + question.length);
  setU16(query, 0, random.below(2 ** 16));
  setU16(query, atFlags, flagRd);
  setU16(query, atQuestions, 1);
  query.set(question, headerBytes);
  return query;
}

function probeOverUdp(parts: ProbeParts, question: ProbeQuestion, query: Uint8Array): Promise<ProbeReply> {
  const { network, clock } = parts;
  return new Promise((resolve) => {
    const socket = network.connectDatagrams(question.server, {
      datagram(bytes) {
        if (isReplyTo(bytes, query)) done(replyOf(bytes, clock.nowMs() - sentMs));
      },
      error: (error) => done(probeFailure(error)),
    });
    const timer = patience(clock, question.timeoutMs, () => done({ answered: false, why: 'silent' }));
    const sentMs = clock.nowMs();
    socket.send(query, question.server);

    function done(reply: ProbeReply): void {
      timer.stop();
      socket.close();
      resolve(reply);
    }
  });
}

function probeOverTcp(parts: ProbeParts, question: ProbeQuestion, query: Uint8Array): Promise<ProbeReply> {
  const { network, clock } = parts;
  return new Promise((resolve) => {
    const reader = new FrameReader();
    const startedMs = clock.nowMs();
    const timer = patience(clock, question.timeoutMs, () => done({ answered: false, why: 'silent' }));
    const stream = network.connectStream(question.server, {
      opened() {
        const frame = new Uint8Array(frameHeaderBytes + query.length);
        writeFrame(frame, 0, query);
        stream.write(frame);
      },
      data(bytes) {
        reader.push(bytes, (message) => {
          if (isReplyTo(message, query)) done(replyOf(message, clock.nowMs() - startedMs));
        });
      },
      ended: () => done({ answered: false, why: 'closed' }),
      closed: (error) => done(error === undefined ? { answered: false, why: 'closed' } : probeFailure(error)),
    });

    function done(reply: ProbeReply): void {
      timer.stop();
      stream.destroy();
      resolve(reply);
    }
  });
}

/**
 * Calls `run` after the time, and after what has come by then: where the process was not scheduled for long, its timers
 * are called before its sockets are read, and an answer that waits there is no silence.
 */
export function patience(clock: Clock, ms: number, run: () => void): Timer {
  let timer = clock.after(ms, () => {
    timer = clock.after(doctorGraceMs, run);
  });
  return { stop: () => timer.stop() };
}

function probeFailure({ code }: NodeJS.ErrnoException): ProbeReply {
  if (code === overBudgetCode) return { answered: false, why: 'unasked' };
  if (code === 'ECONNREFUSED' || code === 'ECONNRESET' || code === 'EPIPE') return { answered: false, why: 'closed' };
  return { answered: false, why: code === 'ETIMEDOUT' ? 'silent' : 'unreachable' };
}

/** What is malformed is left out: that a server answers at all is known. */
function replyOf(message: Uint8Array, afterMs: number): ProbeReply {
  const records = recordTexts(message, recordsMax).filter(({ section }) => section === 'answer');
  const dataOf = (...types: readonly string[]): string[] =>
    records.filter(({ type }) => types.includes(type)).map(({ data }) => data);
  const names = dataOf('PTR').map(lowerCaseName);
  return { answered: true, rcode: messageRcode(message), addresses: dataOf('A', 'AAAA'), names, afterMs };
}

export interface PairsAsked {
  /** Pairs that were sent. */
  readonly pairs: number;
  /** Pairs with one of both answers, and with none. */
  readonly lostOne: number;
  readonly lostBoth: number;
}

interface PairsWish {
  readonly server: Endpoint;
  readonly name: string;
  readonly pairs: number;
  readonly atOnce: number;
  readonly timeoutMs: number;
}

/** Asks A and AAAA at once from one socket, as often as `pairs` says. */
export async function probePairs(parts: ProbeParts, wish: PairsWish): Promise<PairsAsked> {
  const pending: Promise<number>[] = [];
  for (let first = 0; first < wish.pairs; first += wish.atOnce) {
    const count = Math.min(wish.atOnce, wish.pairs - first);
    const batch = Array.from({ length: count }, () => probePair(parts, wish));
    pending.push(...batch);
    // The next ones wait for late answers only so long.
    await Promise.race([Promise.all(batch), pause(parts.clock, doctorPairsNextMs)]);
  }
  const answers = await Promise.all(pending);
  const withAnswers = (count: number): number => answers.filter((each) => each === count).length;
  return { pairs: answers.filter((each) => each >= 0).length, lostOne: withAnswers(1), lostBoth: withAnswers(0) };
}

/** The number of answers; -1 when nothing was sent. */
function probePair({ network, clock, random }: ProbeParts, { server, name, timeoutMs }: PairsWish): Promise<number> {
  const parts = { network, clock, random };
  const queries = [typeA, typeAaaa].map((type) => probePacket(parts, { name, type }));
  return new Promise((resolve) => {
    const missing = new Set(queries);
    const socket = network.connectDatagrams(server, {
      datagram(bytes) {
        for (const query of missing) if (isReplyTo(bytes, query)) missing.delete(query);
        if (missing.size === 0) done(2);
      },
      // The kernel tells the sender of a packet that it has dropped for want of a place; the other one goes on.
      error: (error) => error.code === overBudgetCode && done(-1),
    });
    const timer = patience(clock, timeoutMs, () => done(2 - missing.size));
    for (const query of queries) socket.send(query, server);

    function done(answers: number): void {
      timer.stop();
      socket.close();
      resolve(answers);
    }
  });
}
