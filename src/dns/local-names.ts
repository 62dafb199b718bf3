/**
 * The names that never leave a machine: localhost and what is below it (RFC 6761 6.3), the reverse names of this
 * network, this host and everybody (RFC 6303 4.2), and names that begin with the label `localhost`, into which search
 * paths turn it. Only what they are; what they are answered with is resolve/local.ts's.
 */
import { headerBytes } from '../limits.js';
import type { Query } from './query.js';
import { sameName } from './wire.js';

const localhost = Buffer.from('\x09localhost\0', 'latin1');
const reverse = Buffer.from('\x07in-addr\x04arpa\0', 'latin1');
const reverseLabels = ['0', '127', '255'].map((label) => Buffer.from(`${String.fromCharCode(label.length)}${label}`));

/** Whether the name that `query` has read from the packet is one; those that only begin so if `takesPrefix`. */
export function isLocalName(packet: Uint8Array, query: Query, takesPrefix: boolean): boolean {
  const { labels, labelCount } = query;
  if (labelCount === 0) return false;
  if (sameName(packet, labels[labelCount - 1], localhost, 0, localhost.length)) return true;
  if (takesPrefix && labelCount > 1 && sameName(packet, headerBytes, localhost, 0, localhost.length - 1)) return true;
  if (labelCount < 3 || !sameName(packet, labels[labelCount - 2], reverse, 0, reverse.length)) return false;
  const at = labels[labelCount - 3];
  return reverseLabels.some((label) => sameName(packet, at, label, 0, label.length));
}
