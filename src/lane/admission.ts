/**
 * The part of the lane's program that knows who may be answered, and whether a process of ours is there. A client that
 * reached our socket lately has passed every firewall there is. Shortly before that time is over, a copy of one of its
 * packets goes the usual way, so the witness on our sockets can note the client again; the witness drops the copy. While
 * no process of ours is there, a known client stays known.
 */
import { laneAdmissionMs } from '../limits.js';
import { clientLayout, configLayout } from './layout.js';
import {
  configuration,
  copyMark,
  frame,
  helpers,
  inRegister,
  ip,
  type LaneText,
  loadSaved,
  lookUpMap,
  packetRegister,
  r0,
  r1,
  r2,
  r3,
  r4,
  r5,
  roaming,
  save,
  setToSum,
  stack,
  udp,
  udpBehindIpv6,
  viewOfPacket,
} from './text.js';

/** The rest of the time in which a client is noted again, and how often that is tried. */
const renewedBeforeNs = BigInt(laneAdmissionMs) * 400_000n;
const renewedEveryNs = 1_000_000_000n;
/** BPF_F_INGRESS: as if the interface had received it. */
const asReceived = 1;
/** BPF_F_CURRENT_NETNS. */
const ourNamespace = -1;

/** A copy that we have made ourselves comes once more: the witness knows it by another field, as nobody else does. */
export function passCopies(text: LaneText): void {
  text.load(r2, 4, packetRegister, viewOfPacket.mark);
  text.constant(r3, BigInt(copyMark));
  text.if(r2, 'notEqual', inRegister(r3), 'no copy');
  text.store(4, packetRegister, viewOfPacket.priority, inRegister(r3));
  text.do('set', r2, 0);
  text.store(4, packetRegister, viewOfPacket.mark, inRegister(r2));
  text.goTo('not ours');
  text.label('no copy');
}

/** Leaves the time in its register. */
export function isTheClientKnown(text: LaneText): void {
  text.call(helpers.coarseNow);
  text.do('set', roaming, inRegister(r0));
  text.load(r2, 8, configuration, configLayout.inertFrom);
  text.if(roaming, 'notBelow', inRegister(r2), 'not ours');
  text.load(r2, 8, configuration, configLayout.heartbeat);
  text.load(r3, 8, configuration, configLayout.deadAfter);
  text.do('add', r2, inRegister(r3));
  save(text, 'deadFrom', inRegister(r2));
  text.load(r2, 4, packetRegister, viewOfPacket.interfaceIndex);
  text.store(4, frame, stack.client + clientLayout.interfaceIndex, inRegister(r2));
  lookUpMap(text, 'clients', stack.client, 'stranger');
  text.load(r2, 8, r0, clientLayout.until);
  text.if(roaming, 'below', inRegister(r2), 'known');
  unlessNobodyIsThere(text, 'stranger');
  text.goTo('known for good');
  text.label('known');
  text.constant(r3, renewedBeforeNs);
  text.do('subtract', r2, inRegister(r3));
  text.if(roaming, 'below', inRegister(r2), 'known for good');
  text.load(r2, 8, r0, clientLayout.renewedAt);
  text.constant(r3, renewedEveryNs);
  text.do('add', r2, inRegister(r3));
  text.if(roaming, 'below', inRegister(r2), 'known for good');
  text.store(8, r0, clientLayout.renewedAt, inRegister(roaming));
  lookForSomebody(text, 'renewal');
  text.if(roaming, 'notBelow', inRegister(r3), 'known for good');
  sendCopyUp(text);
  text.label('known for good');
}

/**
 * Goes the packet's usual way for this cause if somebody is there to answer it. From then on nobody is there for it.
 */
export function unlessNobodyIsThere(text: LaneText, cause: 'stranger' | 'expired'): void {
  lookForSomebody(text, cause);
  text.if(roaming, 'below', inRegister(r3), cause);
}

const lookers = ['stranger', 'expired', 'renewal'] as const;

/** Register 3 = since when nobody is there: since ever, if the process has ended. */
function lookForSomebody(text: LaneText, looker: (typeof lookers)[number]): void {
  save(text, 'looker', lookers.indexOf(looker));
  text.goTo('is somebody there');
  text.label(`${looker} goes on`);
}

/** A process that hangs shows no sign of life; of one that was killed no socket is left. */
export function isSomebodyThere(text: LaneText): void {
  text.label('is somebody there');
  loadSaved(text, r3, 'deadFrom');
  text.if(roaming, 'notBelow', inRegister(r3), 'back');
  writeEnds(text);
  text.do('set', r1, inRegister(packetRegister));
  setToSum(text, r2, frame, stack.ends);
  text.do('set', r4, ourNamespace);
  text.do('set', r5, 0);
  text.call(helpers.lookUpSocket);
  text.if(r0, 'equal', 0, 'nobody');
  text.do('set', r1, inRegister(r0));
  text.call(helpers.releaseSocket);
  text.goTo('back');
  text.label('nobody');
  save(text, 'deadFrom', 0);
  text.label('back');
  loadSaved(text, r3, 'deadFrom');
  loadSaved(text, r2, 'looker');
  for (const [number, looker] of lookers.entries()) text.if(r2, 'equal', number, `${looker} goes on`);
  text.goTo('not ours');
}

/** The packet's addresses and ports onto the stack, a struct bpf_sock_tuple, and its length into register 3. */
function writeEnds(text: LaneText): void {
  loadSaved(text, r2, 'udpAt');
  text.load(r4, 4, frame, udp);
  text.if(r2, 'equal', udpBehindIpv6, 'ends of IPv6');
  for (const place of [0, 4]) copyWord(text, ip + 12 + place, stack.ends + place);
  text.store(4, frame, stack.ends + 8, inRegister(r4));
  text.do('set', r3, 12);
  text.goTo('ends');
  text.label('ends of IPv6');
  for (let place = 0; place < 32; place += 4) copyWord(text, ip + 8 + place, stack.ends + place);
  text.store(4, frame, stack.ends + 32, inRegister(r4));
  text.do('set', r3, 36);
  text.label('ends');
}

function copyWord(text: LaneText, from: number, to: number): void {
  text.load(r2, 4, frame, from);
  text.store(4, frame, to, inRegister(r2));
}

function sendCopyUp(text: LaneText): void {
  text.load(r2, 4, packetRegister, viewOfPacket.mark);
  save(text, 'mark', inRegister(r2));
  text.constant(r2, BigInt(copyMark));
  text.store(4, packetRegister, viewOfPacket.mark, inRegister(r2));
  text.do('set', r1, inRegister(packetRegister));
  text.load(r2, 4, packetRegister, viewOfPacket.interfaceIndex);
  text.do('set', r3, asReceived);
  text.call(helpers.cloneRedirect);
  loadSaved(text, r2, 'mark');
  text.store(4, packetRegister, viewOfPacket.mark, inRegister(r2));
}
