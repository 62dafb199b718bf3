/**
 * Runs in a pod: asks a name server at a steady rate and says what came of it, as one line of JSON. Nineteen of twenty
 * questions are for names of a list, the twentieth for one that nobody asked before, so misses are among them.
 * `node asker.js SERVER QUESTIONS_A_SECOND SECONDS`
 */
import { createSocket } from 'node:dgram';
import { performance } from 'node:perf_hooks';

export interface Asked {
  readonly sent: number;
  /** No answer within five seconds. */
  readonly lost: number;
  /** Of the questions for names of the list, how many were sent, and how many of these are lost. */
  readonly known: number;
  readonly knownLost: number;
  readonly servfail: number;
  /** Answered after more than a second. */
  readonly late: number;
  /** The longest time in which nothing was answered. */
  readonly silenceMs: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
}

const names = [
  'kubernetes.default.svc.cluster.local',
  'kube-dns.kube-system.svc.cluster.local',
  'web.default.svc.cluster.local',
  'webh.default.svc.cluster.local',
  'www.example.test',
  'www.example.test.default.svc.cluster.local',
  'www.example.test.svc.cluster.local',
  'www.example.test.cluster.local',
];
const patienceMs = 5_000;
const socketsMax = 64;

interface Wait {
  readonly sentAtMs: number;
  readonly isKnown: boolean;
}

/** Asks, and gives what came of it. */
export async function ask(server: string, aSecond: number, seconds: number): Promise<Asked> {
  const waits: Map<number, Wait>[] = [];
  const tookMs: number[] = [];
  let known = 0;
  let knownInTime = 0;
  let servfail = 0;
  let lastAnswerMs = performance.now();
  let silenceMs = 0;
  const sockets = Array.from({ length: socketsMax }, (_, index) => {
    const waiting = new Map<number, Wait>();
    waits.push(waiting);
    const socket = createSocket('udp4');
    // An ICMP error is of no question in particular; who is not answered is counted as lost.
    socket.on('error', () => {});
    socket.on('message', (packet) => {
      const id = packet.readUInt16BE(0);
      const wait = waits[index].get(id);
      if (wait === undefined) return;
      waits[index].delete(id);
      const nowMs = performance.now();
      tookMs.push(nowMs - wait.sentAtMs);
      if (wait.isKnown && nowMs - wait.sentAtMs <= patienceMs) knownInTime += 1;
      silenceMs = Math.max(silenceMs, nowMs - lastAnswerMs);
      lastAnswerMs = nowMs;
      if ((packet[3] & 15) === 2) servfail += 1;
    });
    return socket;
  });
  const startMs = performance.now();
  const wanted = aSecond * seconds;
  let sent = 0;
  await new Promise<void>((done) => {
    const timer = setInterval(() => {
      const due = Math.min(wanted, Math.floor(((performance.now() - startMs) / 1000) * aSecond));
      for (; sent < due; sent++) {
        const isKnown = sent % 20 !== 19;
        const name = isKnown ? names[sent % names.length] : `n${sent}-${process.pid}.example.test`;
        if (isKnown) known += 1;
        const at = sent % socketsMax;
        const id = Math.floor(sent / socketsMax) % 65_536;
        waits[at].set(id, { sentAtMs: performance.now(), isKnown });
        sockets[at].send(question(id, name), 53, server);
      }
      if (sent < wanted) return;
      clearInterval(timer);
      setTimeout(done, patienceMs);
    }, 2);
  });
  for (const socket of sockets) socket.close();
  tookMs.sort((left, right) => left - right);
  const inTime = tookMs.filter((took) => took <= patienceMs).length;
  const at = (share: number) => Number((tookMs[Math.floor(tookMs.length * share)] ?? 0).toFixed(2));
  return {
    sent,
    lost: sent - inTime,
    known,
    knownLost: known - knownInTime,
    servfail,
    late: tookMs.filter((took) => took > 1_000).length,
    silenceMs: Math.round(silenceMs),
    p50Ms: at(0.5),
    p99Ms: at(0.99),
  };
}

/** A question for A with RD, in one label's length and bytes after the other (RFC 1035 4.1). */
function question(id: number, name: string): Buffer {
  const labels = name.split('.').flatMap((label) => [Buffer.of(label.length), Buffer.from(label)]);
  const header = Buffer.from([id >> 8, id & 255, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0]);
  return Buffer.concat([header, ...labels, Buffer.of(0, 0, 1, 0, 1)]);
}

const [, program, server, aSecond, seconds] = process.argv;
if (/asker\.m?js$/.test(program)) {
  process.stdout.write(`${JSON.stringify(await ask(server, Number(aSecond), Number(seconds)))}\n`);
}
