/**
 * Queries and answers as dnstap's messages (dnstap.proto of dnstap.info): the few fields that we fill, written as
 * Protocol Buffers have them on the wire, a tag before each value.
 */
import { addressBytes } from '../os/addresses.js';
import type { QueryLogRecord } from '../resolve/lane.js';

/** What every message of one directive says. */
interface DnstapSettings {
  readonly identity: string;
  readonly version: string;
  readonly full: boolean;
}

/** When the query came and the answer went, in wall-clock milliseconds since 1970. */
interface DnstapTimes {
  readonly queryMs: number;
  readonly responseMs: number;
}

type DnstapType = 'client query' | 'client response';

// Message.Type, SocketFamily and SocketProtocol of the schema.
const typeNumbers: Readonly<Record<DnstapType, number>> = { 'client query': 5, 'client response': 6 };
const inet = 1;
const inet6 = 2;
const protocols = { udp: 1, tcp: 2 } as const;
/** Dnstap.Type: what it is about is in `message`. */
const typeMessage = 1;

/** One payload of a frame stream; `extra` is left out when it is empty. */
export function dnstapMessage(
  type: DnstapType,
  facts: QueryLogRecord,
  { queryMs, responseMs }: DnstapTimes,
  { identity, version, full, extra }: DnstapSettings & { readonly extra: string },
): Buffer {
  const isResponse = type === 'client response';
  const { remote, local, transport } = facts;
  const message = Buffer.concat([
    numberField(1, typeNumbers[type]),
    numberField(2, remote.address.includes(':') ? inet6 : inet),
    numberField(3, protocols[transport]),
    bytesField(4, plainAddress(remote.address)),
    bytesField(5, plainAddress(local.address)),
    numberField(6, remote.port),
    numberField(7, local.port),
    ...timeFields(8, queryMs),
    ...(full && !isResponse ? [bytesField(10, facts.query)] : []),
    ...(isResponse ? timeFields(12, responseMs) : []),
    ...(full && isResponse ? [bytesField(14, facts.answer)] : []),
  ]);
  return Buffer.concat([
    bytesField(1, Buffer.from(identity)),
    bytesField(2, Buffer.from(version)),
    ...(extra === '' ? [] : [bytesField(3, Buffer.from(extra))]),
    bytesField(14, message),
    numberField(15, typeMessage),
  ]);
}

/** Seconds in one field, the nanoseconds that are left in the next. */
function timeFields(number: number, ms: number): Buffer[] {
  const seconds = Math.floor(ms / 1000);
  const nanoseconds = Buffer.alloc(4);
  nanoseconds.writeUInt32LE(Math.round((ms - seconds * 1000) * 1e6) % 1e9);
  return [numberField(number, seconds), Buffer.concat([varint((number + 1) * 8 + 5), nanoseconds])];
}

function numberField(number: number, value: number): Buffer {
  return Buffer.concat([varint(number * 8), varint(value)]);
}

function bytesField(number: number, bytes: Uint8Array): Buffer {
  return Buffer.concat([varint(number * 8 + 2), varint(bytes.length), bytes]);
}

/** Seven bits a byte, the lowest first; the top bit says that more follow. */
function varint(value: number): Buffer {
  const bytes: number[] = [];
  let left = value;
  for (; left >= 0x80; left = Math.floor(left / 0x80)) bytes.push((left % 0x80) | 0x80);
  return Buffer.from([...bytes, left]);
}

function plainAddress(address: string): Uint8Array {
  return addressBytes(address.replace(/%.*$/u, ''));
}
