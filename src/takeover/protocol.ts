/**
 * The messages between instances on one node: frames over a stream, each a length, a kind, and JSON or a chunk of cache
 * entries. The peer may have any version, be broken or hostile: what is not understood is null here, and its reader
 * closes the link. docs/PROTOCOL.md describes the conversation.
 */
import { handoverFrameBytesMax } from '../limits.js';

/** The inodes of each group's sockets in the kernel's order, as in os/reuseport-groups.ts. */
export type Layout = Readonly<Record<string, readonly number[]>>;

/** Sent first by both sides; these fields keep their meaning in all versions. */
export interface Introduction {
  readonly version: string;
  readonly pid: number;
  /** The network namespace; sockets of another one cannot be joined. */
  readonly network: string;
  /** The monotonic clock, which a machine has once. */
  readonly clockMs: number;
  /** The format of cache entries. */
  readonly entriesFormat: number;
}

export type Message =
  /** From a starting process, or a standby that looks for the serving one. */
  | ({ readonly type: 'hello'; readonly as: 'successor' | 'stand-by' } & Introduction)
  | ({ readonly type: 'welcome'; readonly layout: Layout } & Introduction)
  /** Asks for all cache entries. */
  | { readonly type: 'give' }
  | { readonly type: 'given' }
  /** The sender receives the packets from now on. */
  | { readonly type: 'serving' }
  /** The sender is about to exit: the receiver is to serve. */
  | { readonly type: 'serve'; readonly layout: Layout }
  /** The sender wants to close a socket in each group, which must get no more packets. */
  | { readonly type: 'leaving' }
  | { readonly type: 'go' }
  /** The sockets are closed. */
  | { readonly type: 'left' }
  /** The greeting: the group of each descriptor that comes with it. */
  | { readonly type: 'sockets'; readonly groups: readonly string[] }
  /** From a newer version; ignored. */
  | { readonly type: 'unknown' };

export type Frame =
  | { readonly kind: 'message'; readonly message: Message }
  | { readonly kind: 'entries'; readonly chunk: Uint8Array };

const kindMessage = 1;
const kindEntries = 2;
const frameHeaderBytes = 5;

export function messageFrame(message: Message): Uint8Array {
  return framed(kindMessage, Buffer.from(JSON.stringify(message)));
}

export function entriesFrame(chunk: Uint8Array): Uint8Array {
  return framed(kindEntries, chunk);
}

function framed(kind: number, content: Uint8Array): Uint8Array {
  const bytes = Buffer.allocUnsafe(frameHeaderBytes + content.length);
  bytes.writeUInt32LE(content.length, 0);
  bytes[4] = kind;
  bytes.set(content, frameHeaderBytes);
  return bytes;
}

export class FrameReader {
  #rest = Buffer.alloc(0);

  /** The frames that are complete now; null for anything else than frames. Borrows the bytes. */
  read(bytes: Uint8Array): Frame[] | null {
    this.#rest = Buffer.concat([this.#rest, bytes]);
    const frames: Frame[] = [];
    let at = 0;
    while (this.#rest.length - at >= frameHeaderBytes) {
      const length = this.#rest.readUInt32LE(at);
      if (length > handoverFrameBytesMax) return null;
      const end = at + frameHeaderBytes + length;
      if (end > this.#rest.length) break;
      const frame = readFrame(this.#rest[at + 4], this.#rest.subarray(at + frameHeaderBytes, end));
      if (frame === null) return null;
      frames.push(frame);
      at = end;
    }
    this.#rest = this.#rest.subarray(at);
    return frames;
  }
}

function readFrame(kind: number, content: Buffer): Frame | null {
  if (kind === kindEntries) return { kind: 'entries', chunk: content };
  if (kind !== kindMessage) return null;
  const message = readMessage(content.toString());
  return message && { kind: 'message', message };
}

/** The message, or null. Unknown fields are ignored: a newer version may send them. */
export function readMessage(text: string): Message | null {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return null;
  }
  if (!isRecord(value)) return null;
  switch (value['type']) {
    case 'hello':
      return isIntroduction(value) && (value['as'] === 'successor' || value['as'] === 'stand-by')
        ? { type: 'hello', as: value['as'], ...introductionOf(value) }
        : null;
    case 'welcome':
      return isIntroduction(value) && isLayout(value['layout'])
        ? { type: 'welcome', layout: value['layout'], ...introductionOf(value) }
        : null;
    case 'serve':
      return isLayout(value['layout']) ? { type: 'serve', layout: value['layout'] } : null;
    case 'sockets':
      return isTexts(value['groups']) ? { type: 'sockets', groups: value['groups'] } : null;
    case 'give':
    case 'given':
    case 'serving':
    case 'leaving':
    case 'go':
    case 'left':
      return { type: value['type'] };
    default:
      return typeof value['type'] === 'string' ? { type: 'unknown' } : null;
  }
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function isIntroduction(value: Record<string, unknown>): value is Record<string, unknown> & Introduction {
  const { version, pid, network, clockMs, entriesFormat } = value;
  return (
    typeof version === 'string' &&
    version.length <= 100 &&
    Number.isSafeInteger(pid) &&
    typeof network === 'string' &&
    Number.isFinite(clockMs) &&
    Number.isSafeInteger(entriesFormat)
  );
}

function introductionOf({ version, pid, network, clockMs, entriesFormat }: Introduction): Introduction {
  return { version, pid, network, clockMs, entriesFormat };
}

function isTexts(value: unknown): value is readonly string[] {
  return Array.isArray(value) && value.every((text) => typeof text === 'string');
}

function isLayout(value: unknown): value is Layout {
  if (!isRecord(value)) return false;
  return Object.values(value).every((places) => Array.isArray(places) && places.every(Number.isSafeInteger));
}
