/** What the real Knot serves in place of the cluster DNS where the lane is tested, and the queries about it. */
import packets from 'dns-packet';

/** Longer than any test, so that only what a test is about expires. */
const header = `$TTL 3600
@ SOA ns hostmaster 1 7200 1800 86400 3600
@ NS ns
ns A 10.96.0.10
`;

/** Names `n0` to `n199`, and 50 each of which the addresses are old after 3, 5 and 30 seconds. */
export const namesCount = 200;
export const soonOldCount = 50;
export const soonOld = { s: 3, f: 5, t: 30 } as const;

const numbered = (letter: string, count: number, what: string): string =>
  Array.from({ length: count }, (_, index) => `${letter}${index} ${what}${index}`).join('\n');

export const laneZones: Readonly<Record<string, string>> = {
  'lane.test': `${header}
web A 10.1.0.1
Mixed-Case A 10.1.0.2
dual A 10.1.0.3
dual AAAA fd00::3
six AAAA fd00::6
text TXT "a text" "and another"
_http._tcp.web SRV 0 100 80 web
mail MX 10 web
alias CNAME second
second CNAME web
secure HTTPS 1 . alpn=h2
${Array.from({ length: 15 }, (_, index) => `several A 10.1.1.${index}`).join('\n')}
${Array.from({ length: 100 }, (_, index) => `many A 10.1.2.${index}`).join('\n')}
changing 2 A 10.1.3.1
popular 6 A 10.1.3.2
gone 2 A 10.1.3.3
verified 2 A 10.1.3.4
immediate 2 A 10.1.3.5
*.wild A 10.1.4.1
${numbered('n', namesCount, 'A 10.1.5.')}
${Object.entries(soonOld)
  .map(([letter, seconds]) => numbered(letter, soonOldCount, `${seconds} A 10.1.6.`))
  .join('\n')}
`,
  '.': header,
  com: `${header}
* A 10.1.7.1
`,
  // Denials end soon.
  'cluster.local': `${header.replace('$TTL 3600', '$TTL 30').replace(/3600$/m, '30')}
web.default.svc A 10.1.8.1
web.kube-system.svc A 10.1.8.2
`,
};

export interface QueryWish {
  readonly type?: string;
  /** The size in its OPT; without one there is none. */
  readonly edns?: number;
}

/** For this name below lane.test. */
export function query(label: string, wish: QueryWish = {}): Buffer {
  return queryFor(`${label}.lane.test`, wish);
}

export function queryFor(name: string, { type = 'A', edns }: QueryWish = {}): Buffer {
  return packets.encode({
    type: 'query',
    id: 1,
    flags: packets.RECURSION_DESIRED,
    questions: [{ name, type: type as packets.RecordType, class: 'IN' }],
    additionals:
      edns === undefined ? [] : [{ type: 'OPT', name: '.', udpPayloadSize: edns, flags: 0, options: [] } as never],
  });
}

/** For `n0`, `n1` and so on, or others that are numbered. */
export function numberedQueries(count: number, letter = 'n', wish: QueryWish = {}): Buffer[] {
  return Array.from({ length: count }, (_, index) => query(`${letter}${index}`, wish));
}

/** A sentence about an answer: its code and the data of its records. */
export function said(answer: Uint8Array | null): string {
  if (answer === null) return 'nothing';
  const { answers = [] } = packets.decode(Buffer.from(answer));
  return [rcodes[answer[3] & 0x0f], ...answers.map((one) => String((one as packets.StringAnswer).data))].join(' ');
}

const rcodes: readonly string[] = ['NOERROR', 'FORMERR', 'SERVFAIL', 'NXDOMAIN', 'NOTIMP', 'REFUSED'];

/** Its TTLs, but that of an OPT, with their places. */
export function ttlsOf(answer: Uint8Array): readonly { readonly at: number; readonly seconds: number }[] {
  const bytes = Buffer.from(answer);
  const ttls: { at: number; seconds: number }[] = [];
  let at = 12;
  for (let left = bytes.readUInt16BE(4); left > 0; left--) at = nameEnd(bytes, at) + 4;
  for (let left = bytes.readUInt16BE(6) + bytes.readUInt16BE(8) + bytes.readUInt16BE(10); left > 0; left--) {
    at = nameEnd(bytes, at);
    if (bytes.readUInt16BE(at) !== typeOpt) ttls.push({ at: at + 4, seconds: bytes.readUInt32BE(at + 4) });
    at += 10 + bytes.readUInt16BE(at + 8);
  }
  return ttls;
}

const typeOpt = 41;

function nameEnd(bytes: Buffer, from: number): number {
  let at = from;
  while (bytes[at] !== 0) {
    if (bytes[at] >= 0xc0) return at + 2;
    at += 1 + bytes[at];
  }
  return at + 1;
}

/** The answer with its id and TTLs 0: the rest must be the same from the kernel and from the process. */
export function withoutTtls(answer: Uint8Array): Buffer {
  const bytes = Buffer.from(answer);
  bytes.writeUInt16BE(0, 0);
  for (const { at } of ttlsOf(answer)) bytes.writeUInt32BE(0, at);
  return bytes;
}
