/**
 * What all parts of the lane's program are written with: what is in which register and where on the stack, the layout of
 * a packet, the kernel's helpers, and sequences that come again.
 */
import type { Assembler, BpfOperand, Condition, Register, Width } from './assembler.js';

export const laneMaps = ['config', 'scratch', 'index', 'slots', 'marks', 'clients', 'interfaces', 'passed'] as const;
export type LaneMap = (typeof laneMaps)[number];

export type LaneText = Assembler<LaneMap>;

export const helpers = {
  lookUp: 1,
  update: 2,
  storeBytes: 9,
  cloneRedirect: 13,
  redirect: 23,
  loadBytes: 26,
  checksum: 28,
  loadBytesRelative: 68,
  changeTail: 38,
  redirectPeer: 155,
  lookUpSocket: 85,
  releaseSocket: 86,
  coarseNow: 160,
} as const;

/** Fields of struct __sk_buff, the program's view of a packet. */
export const viewOfPacket = {
  bytes: 0,
  mark: 8,
  protocol: 16,
  vlanPresent: 20,
  priority: 32,
  interfaceIndex: 40,
} as const;

/** In a copy that we send up: `mark` until it comes to our program again, then `priority`, which no firewall looks at. */
export const copyMark = 0x5a48_6f70;

// A frame's first bytes: Ethernet, IPv4 without options or IPv6 without extensions, UDP, DNS.
const ipAt = 14;
export const ipv4Bytes = 20;
export const udpBehindIpv4 = ipAt + ipv4Bytes;
export const udpBehindIpv6 = ipAt + 40;
export const udpHeaderBytes = 8;
export const dnsHeaderBytes = 12;
export const optHeadBytes = 11;
export const extendedErrorBytes = 6;

/** Numbers in the network's order, as this machine reads them. */
export const raw = {
  one: 0x0100,
  two: 0x0200,
  etherIpv4: 0x0008,
  etherIpv6: 0xdd86,
  fragmented: 0xff3f,
  dontFragment: 0x0040,
  ipv6WithoutFlow: 0x60,
  protocolUdp: 0x1100,
  qrAndOpcode: 0x00f8,
  ad: 0x2000,
  cd: 0x1000,
  rcodeMask: 0x0f00,
  nxdomain: 0x0300,
  typeOpt: 0x2900,
  dnssecOk: 0x0080,
  extendedError: 0x0f00,
  staleAnswer: 0x0300,
  staleNxdomain: 0x1300,
} as const;

export const [r0, r1, r2, r3, r4, r5] = [0, 1, 2, 3, 4, 5] as const;
// For the whole program: the packet, the configuration; and the slot, once it is found.
export const packetRegister = 6;
export const configuration = 8;
export const slotRegister = 9;
/** The name's scratch, later the time, later a TTL's place. */
export const roaming = 7;
export const frame = 10;

/** Places on the stack, below the frame pointer; those without another word have eight bytes. */
export const stack = {
  /** Ethernet and IP, up to 54 bytes, so placed that the IP header is at a multiple of 8. */
  headers: -86,
  /** The headers of UDP and DNS, 20 bytes. */
  udp: -32,
  /** The OPT and, for stale answers, its extended error: 17 bytes, its fields at even places. */
  opt: -111,
  limit: -120,
  questionEnd: -128,
  place: -136,
  key: -144,
  hash: -152,
  isStale: -160,
  hasOpt: -168,
  ageSeconds: -176,
  nameBytes: -184,
  deadFrom: -192,
  optAt: -200,
  total: -208,
  recordsBytes: -216,
  /** Where UDP begins in the packet, which tells IPv4 from IPv6. */
  udpAt: -224,
  /** A key of the map: interface and address, 20 bytes. */
  client: -244,
  /** The packet's destination, 16 bytes. */
  ourAddress: -264,
  /** Four bytes, as those of slotNumber, ttl and number. */
  typeAndClass: -268,
  slotNumber: -272,
  ttl: -276,
  number: -280,
  /** Both ends of the packet, up to 36 bytes. */
  ends: -316,
  mark: -328,
  looker: -336,
} as const;

export const ip = stack.headers + ipAt;
export const { udp } = stack;
export const dns = stack.udp + udpHeaderBytes;

export const inRegister = (number: Register): BpfOperand => ({ register: number });

export function loadSaved(text: LaneText, to: Register, from: keyof typeof stack): void {
  text.load(to, 8, frame, stack[from]);
}

export function save(text: LaneText, at: keyof typeof stack, what: BpfOperand): void {
  text.store(8, frame, stack[at], what);
}

/** `to` = another register plus a number. */
export function setToSum(text: LaneText, to: Register, from: Register, number: number): void {
  text.do('set', to, inRegister(from));
  text.do('add', to, number);
}

/** A place in the DNS message becomes one in the packet; register 1 is lost. */
export function placeInPacket(text: LaneText, register: Register): void {
  loadSaved(text, r1, 'udpAt');
  text.do('add', register, inRegister(r1));
  text.do('add', register, udpHeaderBytes);
}

/** Register 0 = the map's element under the key at this place of the stack. */
export function lookUpMap(text: LaneText, map: LaneMap, key: number, otherwise: string): void {
  text.map(r1, map);
  setToSum(text, r2, frame, key);
  text.call(helpers.lookUp);
  text.if(r0, 'equal', 0, otherwise);
}

/** Goes elsewhere if the field of a header on the stack is so. */
export function leaveIf(
  text: LaneText,
  [width, at]: readonly [Width, number],
  condition: Condition,
  value: number,
  otherwise: string,
): void {
  text.load(r2, width, frame, at);
  text.if(r2, condition, value, otherwise);
}

/** Copies from the packet; the offset and the number of bytes are in registers 2 and 4. */
export function readPacket(text: LaneText, to: BpfOperand, otherwise: string): void {
  text.do('set', r1, inRegister(packetRegister));
  text.do('set', r3, to);
  text.call(helpers.loadBytes);
  text.if(r0, 'notEqual', 0, otherwise);
}

/** Copies into the packet; the offset, the source and the number of bytes are in registers 2, 3 and 4. */
export function writePacket(text: LaneText): void {
  text.do('set', r1, inRegister(packetRegister));
  text.do('set', r5, 0);
  text.call(helpers.storeBytes);
  text.if(r0, 'notEqual', 0, 'broken');
}
