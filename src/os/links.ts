/** What the kernel says of a network interface, by rtnetlink(7). */
import { linux, type SystemCalls } from './system-calls.js';

export interface Link {
  readonly name: string;
  /** `veth`, `bridge`, `netkit`, …; empty for devices without a kind, as lo and hardware. */
  readonly kind: string;
}

/** The interface with this number in our namespace; null: there is none. */
export type LinkOf = (interfaceIndex: number) => Link | null;

const netlinkHeaderBytes = 16;
const interfaceBytes = 16;
const typeNewLink = 16;
const typeGetLink = 18;
const flagRequest = 1;
const attributeName = 3;
const attributeLinkInfo = 18;
const attributeKind = 1;
/** Without the flags of nested attributes and of byte order. */
const attributeTypeMask = 0x3fff;
const answerBytesMax = 16 * 1024;

export function linkOf(calls: Pick<SystemCalls, 'netlinkSocket' | 'sendBytes' | 'receiveBytes' | 'close'>): LinkOf {
  return (interfaceIndex) => {
    const fd = calls.netlinkSocket(linux.netlinkRoute);
    if (fd < 0) return null;
    try {
      if (calls.sendBytes(fd, requestFor(interfaceIndex)) < 0) return null;
      const answer = new Uint8Array(answerBytesMax);
      const received = calls.receiveBytes(fd, answer);
      return received < netlinkHeaderBytes ? null : linkIn(new DataView(answer.buffer, 0, received));
    } finally {
      calls.close(fd);
    }
  };
}

function requestFor(interfaceIndex: number): Uint8Array {
  const request = new DataView(new ArrayBuffer(netlinkHeaderBytes + interfaceBytes));
  request.setUint32(0, request.byteLength, true);
  request.setUint16(4, typeGetLink, true);
  request.setUint16(6, flagRequest, true);
  request.setInt32(netlinkHeaderBytes + 4, interfaceIndex, true);
  return new Uint8Array(request.buffer);
}

function linkIn(view: DataView): Link | null {
  if (view.getUint16(4, true) !== typeNewLink) return null;
  const end = Math.min(view.getUint32(0, true), view.byteLength);
  const attributes = attributesIn(view, netlinkHeaderBytes + interfaceBytes, end);
  const name = attributes.get(attributeName);
  if (name === undefined) return null;
  const info = attributes.get(attributeLinkInfo);
  const kind = info === undefined ? undefined : attributesIn(info, 0, info.byteLength).get(attributeKind);
  return { name: textIn(name), kind: kind === undefined ? '' : textIn(kind) };
}

function attributesIn(view: DataView, start: number, end: number): ReadonlyMap<number, DataView> {
  const found = new Map<number, DataView>();
  for (let at = start; at + 4 <= end; ) {
    const bytes = view.getUint16(at, true);
    if (bytes < 4 || at + bytes > end) break;
    found.set(
      view.getUint16(at + 2, true) & attributeTypeMask,
      new DataView(view.buffer, view.byteOffset + at + 4, bytes - 4),
    );
    at += (bytes + 3) & ~3;
  }
  return found;
}

/** Up to its 0. */
function textIn(view: DataView): string {
  return Buffer.from(view.buffer, view.byteOffset, view.byteLength).toString('latin1').split('\0')[0];
}
