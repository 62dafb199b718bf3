/**
 * A program for a pod, or for the node itself, that asks what its test tells it to: single questions over UDP and TCP, a
 * steady stream of them, or as many as it can while it looks at every answer. Orders and reports go over the channel to
 * the process that started it, with which it ends.
 */
import { createSocket, type Socket } from 'node:dgram';
import { once } from 'node:events';
import { connect } from 'node:net';
import { framed, newFrames } from '../real/packets.js';
import { questionEnd } from '../real/stand-in.js';
import type { AskWish, Order, SteadyReport, SteadyWish, StormReport, StormWish } from './pod-client.js';

const dnsPort = 53;
const receiveBytes = 4 << 20;

async function obey(order: Order): Promise<unknown> {
  switch (order.what) {
    case 'ask':
      return inWindows(order, askOne);
    case 'ask over TCP':
      return inWindows(order, askOneOverTcp);
    case 'begin':
      steady = new Steady(order);
      return steady.begin();
    case 'count':
      return steady!.report();
    case 'finish':
      return steady!.finish(order.patienceMs);
    case 'storm':
      return storm(order);
  }
}

let steady: Steady | null = null;

process.on('message', (order: Order) => {
  obey(order).then(
    (result) => process.send!({ number: order.number, result }),
    (error: Error) => process.send!({ number: order.number, error: String(error.stack) }),
  );
});
process.on('disconnect', () => process.exit());
process.send!('ready');

/** All answers in the order of the queries, null where none came. */
async function inWindows(
  { server, queries, window, timeoutMs }: AskWish,
  ask: (server: string, query: Buffer, timeoutMs: number) => Promise<Buffer | null>,
): Promise<(string | null)[]> {
  const answers: (string | null)[] = queries.map(() => null);
  let next = 0;
  const askInTurn = async (): Promise<void> => {
    while (next < queries.length) {
      const index = next++;
      answers[index] = (await ask(server, Buffer.from(queries[index], 'hex'), timeoutMs))?.toString('hex') ?? null;
    }
  };
  await Promise.all(Array.from({ length: window }, askInTurn));
  return answers;
}

/** From a port of its own, so that nothing else is taken for the answer. */
function askOne(server: string, query: Buffer, timeoutMs: number): Promise<Buffer | null> {
  return new Promise((resolve) => {
    const socket = createSocket(familyOf(server));
    let isDone = false;
    const done = (answer: Buffer | null): void => {
      if (isDone) return;
      isDone = true;
      clearTimeout(timer);
      socket.removeAllListeners();
      socket.on('error', () => {});
      socket.close();
      resolve(answer);
    };
    // An answer that came while this program had no processor is there, and is read before.
    const timer = setTimeout(() => setImmediate(() => done(null)), timeoutMs);
    socket.on('error', () => done(null));
    socket.on('message', done);
    socket.connect(dnsPort, server, () => socket.send(query));
  });
}

function askOneOverTcp(server: string, query: Buffer, timeoutMs: number): Promise<Buffer | null> {
  return new Promise((resolve) => {
    const socket = connect(dnsPort, server);
    const done = (answer: Buffer | null): void => {
      clearTimeout(timer);
      socket.destroy();
      resolve(answer);
    };
    const timer = setTimeout(() => done(null), timeoutMs);
    socket.on('error', () => done(null));
    socket.on('data', newFrames(done));
    socket.write(framed(query));
  });
}

function familyOf(address: string): 'udp4' | 'udp6' {
  return address.includes(':') ? 'udp6' : 'udp4';
}

interface Asked {
  readonly query: Buffer;
  readonly atMs: number;
}

/** Asks the queries one after the other and again, so many a second, from several ports. */
class Steady {
  readonly #wish: SteadyWish;
  readonly #queries: readonly Buffer[];
  readonly #sockets: Socket[] = [];
  /** By the port's number and the id. */
  readonly #underWay = new Map<number, Asked>();
  readonly #rcodes: Record<string, number> = {};
  readonly #wrong: string[] = [];
  #startedMs = 0;
  #sent = 0;
  #answered = 0;
  #late = 0;
  readonly #firstLate: string[] = [];
  #stale = 0;
  #timer: NodeJS.Timeout | undefined;

  constructor(wish: SteadyWish) {
    this.#wish = wish;
    this.#queries = wish.queries.map((hex) => Buffer.from(hex, 'hex'));
  }

  async begin(): Promise<void> {
    for (let index = 0; index < steadyPorts; index++) {
      const socket = createSocket({ type: familyOf(this.#wish.server), recvBufferSize: receiveBytes });
      socket.bind(0);
      await once(socket, 'listening');
      socket.on('message', (answer) => this.#take(index, answer));
      // A process that is not there; the question may yet be answered by another one.
      socket.on('error', () => {});
      this.#sockets.push(socket);
    }
    this.#startedMs = performance.now();
    this.#timer = setInterval(() => this.#askDue(), 2);
  }

  report(): SteadyReport {
    const lost = [...this.#underWay.values()].map((asked) => this.#whenAsked(asked));
    return {
      sent: this.#sent,
      answered: this.#answered,
      late: this.#late,
      firstLate: this.#firstLate,
      stale: this.#stale,
      rcodes: this.#rcodes,
      wrong: this.#wrong,
      lost: lost.length,
      firstLost: lost.slice(0, shownMax),
    };
  }

  /** Asks nothing more, waits for what is under way, and tells. */
  async finish(patienceMs: number): Promise<SteadyReport> {
    clearInterval(this.#timer);
    const startedMs = performance.now();
    while (this.#underWay.size > 0 && performance.now() - startedMs < patienceMs)
      await new Promise((resolve) => setTimeout(resolve, 10));
    for (const socket of this.#sockets) socket.close();
    return this.report();
  }

  /** Never so many at once that their answers would not fit the ports' buffers. */
  #askDue(): void {
    const { server, perSecond } = this.#wish;
    const due = Math.floor(((performance.now() - this.#startedMs) / 1000) * perSecond);
    for (let burst = 0; this.#sent < due && burst < burstMax; burst++) {
      const number = this.#sent++;
      const port = number % steadyPorts;
      const id = Math.floor(number / steadyPorts) & 0xffff;
      const query = Buffer.from(this.#queries[number % this.#queries.length]);
      query.writeUInt16BE(id);
      this.#underWay.set(port * 0x1_0000 + id, { query, atMs: performance.now() });
      this.#sockets[port].send(query, dnsPort, server);
    }
  }

  #take(port: number, answer: Buffer): void {
    const key = port * 0x1_0000 + answer.readUInt16BE(0);
    const asked = this.#underWay.get(key);
    if (asked === undefined) return this.#note(`nobody waits for ${answer.toString('hex')}`);
    this.#underWay.delete(key);
    this.#answered++;
    if (performance.now() - asked.atMs > this.#wish.lateMs && this.#late++ < shownMax)
      this.#firstLate.push(this.#whenAsked(asked));
    const rcode = answer[3] & 0x0f;
    this.#rcodes[rcode] = (this.#rcodes[rcode] ?? 0) + 1;
    const end = questionEnd(asked.query);
    if (!answer.subarray(12, end).equals(asked.query.subarray(12, end)))
      this.#note(`${asked.query.toString('hex')} was answered ${answer.toString('hex')}`);
    // Extended error 3 or 19 at the end of our OPT.
    if (answer.subarray(-6, -1).equals(extendedError) && [3, 19].includes(answer[answer.length - 1])) this.#stale++;
  }

  #whenAsked({ query, atMs }: Asked): string {
    return `${query.subarray(12).toString('latin1')} at ${Math.round(atMs - this.#startedMs)} ms`;
  }

  #note(sentence: string): void {
    if (this.#wrong.length < shownMax) this.#wrong.push(sentence);
  }
}

const steadyPorts = 8;
const burstMax = 64;
/** Datagrams that Node.js takes from a socket in one turn. */
const readAtOnce = 32;
const shownMax = 5;
const extendedError = Buffer.from('000f000200', 'hex');

/** Asks as fast as it can, and looks whether each answer has the address of the name that was asked. */
async function storm({ server, names, answers }: StormWish): Promise<StormReport> {
  const socket = createSocket({ type: familyOf(server), recvBufferSize: receiveBytes });
  socket.on('error', () => {});
  socket.bind(0);
  await once(socket, 'listening');
  const queries = names.map(({ query }) => Buffer.from(query, 'hex'));
  const wanted = names.map(({ address }) => Buffer.from(address, 'hex'));
  const report = { sent: 0, answers: 0, wrong: [] as string[], wrongCount: 0 };
  socket.on('message', (answer) => {
    report.answers++;
    const index = answer.readUInt16BE(0);
    const query = queries[index];
    const end = query.length;
    const isRight =
      answer.length === end + 16 &&
      answer.subarray(12, end).equals(query.subarray(12)) &&
      answer.subarray(end + 12).equals(wanted[index]);
    if (isRight) return;
    report.wrongCount++;
    if (report.wrong.length < shownMax) report.wrong.push(`${query.toString('hex')}: ${answer.toString('hex')}`);
  });
  for (const [index, query] of queries.entries()) query.writeUInt16BE(index);
  while (report.answers < answers) {
    for (let burst = 0; burst < readAtOnce; burst++)
      socket.send(queries[report.sent++ % queries.length], dnsPort, server);
    await new Promise((resolve) => setImmediate(resolve));
  }
  socket.close();
  return report;
}
