/**
 * A program of its own, so that it can run inside a pod: asks for names whose addresses it knows, from several ports
 * at once, each time spelled another way, and compares every answer bit by bit. Its wish is its argument (JSON), its
 * report what it prints.
 */
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import type { CheckingReport, CheckingWish } from './pods.js';
import { questionEnd } from './stand-in.js';

/** Questions in flight from one port. */
const window = 25;
const patienceMs = 5_000;
const wrongMax = 5;

const wish = JSON.parse(process.argv[2]) as CheckingWish;
const report = { right: 0, lost: 0, wrong: [] as string[] };
let left = wish.questions;

/** What was asked: the packet, and the last byte of the address that it is to be answered with, or none. */
interface Asked {
  readonly packet: Buffer;
  readonly address: number | null;
  readonly atMs: number;
}

await Promise.all(Array.from({ length: wish.sockets }, askFromOnePort));
process.stdout.write(JSON.stringify(report satisfies CheckingReport));

async function askFromOnePort(): Promise<void> {
  const socket = createSocket('udp4');
  socket.connect(wish.port, wish.server);
  await once(socket, 'connect');
  const inFlight = new Map<number, Asked>();
  let nextId = Math.floor(Math.random() * 0x1_0000);
  const ask = (): void => {
    if (left === 0) return;
    left--;
    nextId = (nextId + 1) & 0xffff;
    const asked = anyQuestion(nextId);
    inFlight.set(nextId, asked);
    socket.send(asked.packet);
  };
  await new Promise<void>((done) => {
    const goOn = (): void => {
      ask();
      if (inFlight.size === 0) done();
    };
    socket.on('message', (message) => {
      const asked = inFlight.get(message.readUInt16BE(0));
      if (asked === undefined) note(`an answer that nobody waits for: ${message.toString('hex')}`);
      else judge(asked, message);
      inFlight.delete(message.readUInt16BE(0));
      goOn();
    });
    const sweep = setInterval(() => {
      for (const [id, { atMs }] of inFlight) {
        if (performance.now() - atMs < patienceMs) continue;
        report.lost++;
        inFlight.delete(id);
        goOn();
      }
    }, 100);
    for (let index = 0; index < window; index++) ask();
    if (inFlight.size === 0) done();
    socket.once('close', () => clearInterval(sweep));
  });
  socket.close();
}

/** One in eight is for a name that does not exist. */
function anyQuestion(id: number): Asked {
  const exists = Math.random() >= 1 / 8;
  const index = Math.floor(Math.random() * (exists ? wish.names : wish.absentNames));
  const name = `${exists ? 'n' : 'x'}${index}.default.svc.cluster.local`;
  const labels = name.replace(/[a-z]/g, (letter) => (Math.random() < 0.5 ? letter.toUpperCase() : letter)).split('.');
  const header = Buffer.from('000001000001000000000000', 'hex');
  header.writeUInt16BE(id);
  const parts = labels.map((label) => Buffer.from(`${String.fromCharCode(label.length)}${label}`, 'latin1'));
  const packet = Buffer.concat([header, ...parts, Buffer.from('0000010001', 'hex')]);
  return { packet, address: exists ? index : null, atMs: performance.now() };
}

function judge({ packet, address }: Asked, answer: Buffer): void {
  const end = questionEnd(packet);
  const isEchoed = answer.length >= end && answer.subarray(12, end).equals(packet.subarray(12, end));
  const [flags, answers, authorities] = [answer.readUInt16BE(2), answer.readUInt16BE(6), answer.readUInt16BE(8)];
  const isRight = address === null ? isDenial() : isAddress(address);
  if (isEchoed && (flags & 0x8000) !== 0 && isRight) report.right++;
  else note(`${packet.toString('hex')} was answered ${answer.toString('hex')}`);

  function isDenial(): boolean {
    return (flags & 0x0f) === 3 && answers === 0 && authorities === 1;
  }

  function isAddress(lastByte: number): boolean {
    const ttlSeconds = answer.readUInt32BE(end + 6);
    const data = answer.subarray(end + 12, end + 16);
    return (flags & 0x0f) === 0 && answers === 1 && ttlSeconds <= 30 && data.equals(Buffer.of(10, 97, 0, lastByte));
  }
}

function note(sentence: string): void {
  if (report.wrong.length < wrongMax) report.wrong.push(sentence);
}
