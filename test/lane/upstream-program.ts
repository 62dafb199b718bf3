/**
 * Runs in a node's namespace: `ADDRESS MILLISECONDS SECONDS whole|counted` answers A of every name over TCP at this address,
 * after so many milliseconds, with a TTL of so many seconds: the whole of it each time, or what is left of it, as a cache
 * does. Says `listening`, and stays until it is ended.
 */
import { createServer } from 'node:net';
import { argv, stdout } from 'node:process';
import { framed, newFrames } from '../real/packets.js';
import { questionEnd } from '../real/stand-in.js';

const [address, milliseconds, seconds, counting] = argv.slice(2);
/** When the answers to these names end. */
const ends = new Map<string, number>();

function secondsLeft(name: string): number {
  if (counting === 'whole') return Number(seconds);
  const nowMs = performance.now();
  const known = ends.get(name) ?? 0;
  const end = known > nowMs ? known : nowMs + Number(seconds) * 1_000;
  ends.set(name, end);
  return Math.ceil((end - nowMs) / 1_000);
}

function answerTo(query: Buffer): Buffer {
  const end = questionEnd(query);
  const header = Buffer.from(query.subarray(0, 12));
  header.writeUInt16BE(0x8580, 2);
  header.set([0, 1, 0, 1, 0, 0, 0, 0], 4);
  const record = Buffer.from([0xc0, 0x0c, 0, 1, 0, 1, 0, 0, 0, 0, 0, 4, 10, 1, 6, 1]);
  record.writeUInt32BE(secondsLeft(query.subarray(12, end).toString('latin1')), 6);
  return Buffer.concat([header, query.subarray(12, end), record]);
}

const server = createServer((socket) => {
  socket.on('error', () => {});
  const frames = newFrames((query) => {
    const answer = framed(answerTo(Buffer.from(query)));
    setTimeout(() => socket.write(answer), Number(milliseconds));
  });
  socket.on('data', frames);
});
server.listen(53, address, () => stdout.write('listening\n'));
