/**
 * A program for a pod: `node ask-steadily.js ADDRESS` asks for an A record every few milliseconds, each time from a
 * new port as a resolver does, with one try of 5 s. At SIGTERM it waits for what is under way and writes how often
 * it got which address, and why not, as JSON.
 */
import { createSocket } from 'node:dgram';
import { argv, stdout } from 'node:process';

const periodMs = 4;
const timeoutMs = 5_000;

const address = argv[2];
const counts: Record<string, number> = {};
let underWay = 0;
let isOver = false;

/** web.example. A IN, RD set. */
const query = Buffer.from('00010100000100000000000003776562076578616d706c650000010001', 'hex');

function ask(): void {
  underWay += 1;
  const socket = createSocket(address.includes(':') ? 'udp6' : 'udp4');
  const timer = setTimeout(() => done('timeout'), timeoutMs);
  function done(result: string): void {
    clearTimeout(timer);
    socket.removeAllListeners();
    socket.on('error', () => {});
    socket.close();
    counts[result] = (counts[result] ?? 0) + 1;
    underWay -= 1;
    if (isOver) tellAtRest();
  }
  socket.on('error', (error: NodeJS.ErrnoException) => done(String(error.code)));
  socket.on('message', (answer) => done([...answer.subarray(-4)].join('.')));
  socket.connect(53, address, () => socket.send(query));
}

function tellAtRest(): void {
  if (underWay === 0) stdout.write(`${JSON.stringify(counts)}\n`);
}

const asking = setInterval(ask, periodMs);
process.on('SIGTERM', () => {
  clearInterval(asking);
  isOver = true;
  tellAtRest();
});
stdout.write('asking\n');
