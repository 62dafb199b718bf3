/**
 * The speed of light: a program in the same runtime that does nothing but receive, make an answer of the usual size by
 * adding an address, and send: `node echo.js PORT`. With the same system calls as a worker where they are
 * to be had, else with the runtime's own sockets.
 */
import { createSocket } from 'node:dgram';
import { encodeSocketAddress } from '../../src/os/addresses.js';
import { linux, loadSystemCalls, type SystemCalls } from '../../src/os/system-calls.js';

/** An A record whose owner is the question's name: 192.0.2.1, TTL 60. */
const record = Buffer.from('c00c000100010000003c0004c0000201', 'hex');

const batch = 64;
const slotBytes = 2048;

function echoBatches(calls: SystemCalls, port: number): never {
  const fd = checked(calls.socket(linux.familyIpv4, linux.datagrams));
  checked(calls.bind(fd, encodeSocketAddress({ address: '127.0.0.1', port })));
  const slots = Buffer.from(new ArrayBuffer(batch * slotBytes));
  const addresses = new ArrayBuffer(batch * addressBytes);
  const vectors = new BigUint64Array(batch * 2);
  const headers = new DataView(new ArrayBuffer(batch * headerBytes));
  const slotsAt = calls.addressOf(slots.buffer as ArrayBuffer);
  const headersAt = calls.addressOf(headers.buffer as ArrayBuffer);
  const vectorsAt = calls.addressOf(vectors.buffer);
  const addressesAt = calls.addressOf(addresses);
  for (let slot = 0; slot < batch; slot++) {
    const at = slot * headerBytes;
    vectors[2 * slot] = BigInt(slotsAt + slot * slotBytes);
    headers.setBigUint64(at, BigInt(addressesAt + slot * addressBytes), true);
    headers.setUint32(at + 8, addressBytes, true);
    headers.setBigUint64(at + 16, BigInt(vectorsAt + slot * 16), true);
    headers.setBigUint64(at + 24, 1n, true);
  }
  const lengths = new Uint32Array(vectors.buffer);
  for (;;) {
    for (let slot = 0; slot < batch; slot++) lengths[4 * slot + 2] = slotBytes;
    const received = calls.receive(fd, headersAt, batch, linux.waitForOne);
    for (let slot = 0; slot < received; slot++) {
      const queryBytes = headers.getUint32(slot * headerBytes + headerLengthAt, true);
      lengths[4 * slot + 2] = answerIn(slots, slot * slotBytes, queryBytes);
    }
    if (received > 0) calls.send(fd, headersAt, received, 0);
  }
}

/** struct mmsghdr and struct sockaddr_in of 64-bit Linux. */
const headerBytes = 64;
const headerLengthAt = 56;
const addressBytes = 16;

/** Makes an answer of the query that is there and returns its length. */
function answerIn(bytes: Buffer, at: number, queryBytes: number): number {
  bytes[at + 2] |= 0x80;
  bytes[at + 7] = 1;
  record.copy(bytes, at + queryBytes);
  return queryBytes + record.length;
}

function echoPlain(port: number): void {
  const socket = createSocket('udp4');
  const answer = Buffer.alloc(slotBytes);
  socket.on('message', (query, from) => {
    query.copy(answer);
    socket.send(answer.subarray(0, answerIn(answer, 0, query.length)), from.port, from.address);
  });
  socket.bind(port, '127.0.0.1');
}

function checked(result: number): number {
  if (result < 0) throw new Error(`errno ${-result}`);
  return result;
}

const port = Number(process.argv[2]);
const { calls } = loadSystemCalls();
if (calls === null) echoPlain(port);
else echoBatches(calls, port);
