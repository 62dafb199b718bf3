/**
 * The program on our own sockets: it sees the packets that reached us, behind every firewall and policy, and notes who
 * sent them and over which interface. Only who is noted is answered in the kernel, for a while; then a packet has to get
 * through again. It keeps every packet as it is, and drops only copies, which were made for it alone.
 */
import { laneAdmissionMs } from '../limits.js';
import { type Assembled, Assembler } from './assembler.js';
import { clientLayout } from './layout.js';
import {
  copyMark,
  frame,
  helpers,
  inRegister,
  type LaneMap,
  lookUpMap,
  packetRegister,
  r0,
  r1,
  r2,
  r3,
  r4,
  r5,
  raw,
  setToSum,
  viewOfPacket,
} from './text.js';

/** From the network header on (BPF_HDR_START_NET). */
const fromNetworkHeader = 1;
const senderAt = { ipv4: { at: 12, bytes: 4 }, ipv6: { at: 8, bytes: 16 } } as const;
const keepsAll = -1;
const keepsNothing = 0;
const now = 7;

/** Below the frame pointer: a key of `clients`, so placed that the address is at a multiple of 8, and its value. */
const witnessStack = { client: -28, until: -48 } as const;

/** The program, for maps with these descriptors. */
export function witnessProgram(descriptorOf: (map: LaneMap) => number): Assembled {
  const text = new Assembler<LaneMap>();
  const address = witnessStack.client + clientLayout.address;
  text.do('set', packetRegister, inRegister(r1));
  text.load(r2, 4, packetRegister, viewOfPacket.interfaceIndex);
  text.store(4, frame, witnessStack.client, inRegister(r2));
  text.store(8, frame, address, 0);
  text.store(8, frame, address + 8, 0);
  text.load(r2, 4, packetRegister, viewOfPacket.protocol);
  text.if(r2, 'equal', raw.etherIpv6, 'IPv6');
  text.if(r2, 'notEqual', raw.etherIpv4, 'keep');
  text.store(4, frame, address + 8, -0x1_0000);
  text.do('set', r2, senderAt.ipv4.at);
  setToSum(text, r3, frame, address + 12);
  text.do('set', r4, senderAt.ipv4.bytes);
  text.goTo('the sender');
  text.label('IPv6');
  text.do('set', r2, senderAt.ipv6.at);
  setToSum(text, r3, frame, address);
  text.do('set', r4, senderAt.ipv6.bytes);
  text.label('the sender');
  text.do('set', r1, inRegister(packetRegister));
  text.do('set', r5, fromNetworkHeader);
  text.call(helpers.loadBytesRelative);
  text.if(r0, 'notEqual', 0, 'keep');
  admit(text);
  text.label('keep');
  text.load(r2, 4, packetRegister, viewOfPacket.priority);
  text.constant(r3, BigInt(copyMark));
  text.do('set', r0, keepsAll);
  text.if(r2, 'notEqual', inRegister(r3), 'end');
  text.do('set', r0, keepsNothing);
  text.label('end');
  text.exit();
  return text.assembled(descriptorOf);
}

/** Until some seconds from now; a client that was noted lately is not noted again, which would cost every packet a write. */
function admit(text: Assembler<LaneMap>): void {
  text.call(helpers.coarseNow);
  text.do('set', now, inRegister(r0));
  text.constant(r1, BigInt(laneAdmissionMs) * 1_000_000n);
  text.do('add', r0, inRegister(r1));
  text.store(8, frame, witnessStack.until, inRegister(r0));
  text.store(8, frame, witnessStack.until + clientLayout.renewedAt, 0);
  lookUpMap(text, 'clients', witnessStack.client, 'a new client');
  text.load(r2, 8, r0, 0);
  text.constant(r1, (BigInt(laneAdmissionMs) * 1_000_000n) / 2n);
  text.do('add', now, inRegister(r1));
  text.if(r2, 'above', inRegister(now), 'keep');
  text.load(r2, 8, frame, witnessStack.until);
  text.store(8, r0, 0, inRegister(r2));
  text.goTo('keep');
  text.label('a new client');
  // The key of its interface is the beginning of its own.
  for (const map of ['clients', 'interfaces'] as const) {
    text.map(r1, map);
    setToSum(text, r2, frame, witnessStack.client);
    setToSum(text, r3, frame, witnessStack.until);
    text.do('set', r4, 0);
    text.call(helpers.update);
  }
}
