/** Answers of the stand-in as bytes, and any answer as one line of text that two servers' answers can be compared by. */
import dnsPacket, { type Answer, type DecodedPacket, type Packet } from 'dns-packet';
import { ourOpt, rdFlag, tcFlag } from '../simulation/records.js';
import type { ReplyRecords } from '../simulation/upstream.js';
import type { NameAndType } from './kubernetes-answers.js';

/** The answer to a query, of at most `bytesMax` bytes; one that is longer is empty and has TC. */
export function encodeAnswer(query: DecodedPacket, reply: ReplyRecords, bytesMax: number): Buffer {
  const opt = query.additionals?.find((each) => each.type === 'OPT');
  const ours = opt === undefined ? [] : [ourOpt(opt.flags)];
  const head: Packet = {
    type: 'response',
    id: query.id ?? 0,
    flags: ((query.flags ?? 0) & rdFlag) | (reply.flags ?? 0) | (reply.rcode ?? 0),
    questions: query.questions ?? [],
  };
  const { answers = [], authorities = [], additionals = [] } = reply;
  const whole = dnsPacket.encode({ ...head, answers, authorities, additionals: [...additionals, ...ours] });
  if (whole.length <= bytesMax) return whole;
  return dnsPacket.encode({ ...head, flags: (head.flags ?? 0) | tcFlag, additionals: ours });
}

/** What a client gets to know from the stand-in's reply. */
export function textOfReply(question: NameAndType, reply: ReplyRecords): string {
  const query = { questions: [{ ...question, class: 'IN' }] } as DecodedPacket;
  return textOf(dnsPacket.decode(encodeAnswer(query, reply, 65_535)));
}

/** Rcode and records without TTLs, in lower case; without the SOA's serial, which says only when it was asked. */
export function textOf(message: DecodedPacket): string {
  const { rcode } = message as DecodedPacket & { rcode: string };
  const lines = (records: readonly Answer[] = []): string =>
    records
      .filter(({ type }) => type !== 'OPT')
      .map((each) => `${each.name} ${each.type} ${dataOf(each)}`.toLowerCase())
      .sort()
      .join(', ');
  return `${rcode} [${lines(message.answers)}] [${lines(message.authorities)}]`;
}

/** For how long a client may keep an answer: the lowest TTL of its records. */
export function ttlOf({ answers = [], authorities = [] }: Pick<DecodedPacket, 'answers' | 'authorities'>): number {
  return Math.min(...[...answers, ...authorities].map((each) => (each as { ttl?: number }).ttl ?? 0));
}

function dataOf(each: Answer): string {
  const { data } = each as { data: unknown };
  return JSON.stringify(data, (key, value) => (key === 'serial' ? undefined : value));
}
