/**
 * Our SO_REUSEPORT groups: the sockets of all processes on one endpoint, and which of them get its packets. A group is
 * a list in the kernel: a new socket goes to its end, the last takes the place of a closed one. A classic BPF program
 * on the group returns a place in it; for a place that does not exist the kernel chooses among all by its hash, which
 * returns the packets of a process that died. Places are known from the predecessor, from having come last, and from
 * closings; the kernel tells which sockets are left. While places are unknown, the kernel chooses.
 */
import { fstatSync } from 'node:fs';
import {
  boundPort,
  must,
  openSocket,
  openStreamSocket,
  type SocketOptions,
  type WorkerSocket,
} from './bound-socket.js';
import { type Endpoint, listenBacklog } from './network.js';
import type { Protocol } from './proc.js';
import { lookAtSockets, type SocketsAt } from './sock-diag.js';
import type { SystemCalls } from './system-calls.js';

/** The inodes of each group's sockets in the kernel's order; 0 for unknown. */
type GroupLayout = Readonly<Record<string, readonly number[]>>;

/**
 * `away`: another instance decides. `one`: one of our sockets gets all packets while another process closes one of its.
 */
type Steering = 'away' | 'all' | 'one';

interface GroupsDeps {
  readonly calls: SystemCalls;
  /** The kernel refused a program; reported once. */
  cannotSteer(errno: number): void;
  readonly lookAtSockets?: () => SocketsAt;
}

interface SocketGroup {
  readonly protocol: Protocol;
  readonly at: Endpoint;
  mine: { readonly fd: number; readonly inode: number }[];
  places: number[] | null;
  steeredTo: string;
}

export class Groups {
  readonly #deps: GroupsDeps;
  readonly #groups = new Map<string, SocketGroup>();
  #told: GroupLayout = {};
  /** Copies of other processes' sockets. */
  #held: { readonly key: string; readonly fd: number }[] = [];
  #heir: (at: Endpoint, fds: readonly number[]) => void = (_, fds) =>
    fds.forEach((fd) => void this.#deps.calls.close(fd));
  #isSharing = false;
  #steering: Steering = 'away';
  #complained = false;

  constructor(deps: GroupsDeps) {
    this.#deps = deps;
  }

  /** Takes the layout of another instance, also for groups that we have not joined yet. */
  learn(layout: GroupLayout): void {
    this.#told = layout;
    for (const [key, group] of this.#groups) {
      const told = layout[key];
      if (told !== undefined && group.mine.every(({ inode }) => told.includes(inode))) group.places = [...told];
    }
  }

  share(): void {
    this.#isSharing = true;
  }

  /** Binds a UDP socket; call `joined` with all of a listener. Throws the system's error. */
  openDatagrams(wish: SocketOptions): WorkerSocket {
    return openSocket(this.#deps.calls, this.#shared(wish));
  }

  /** Binds a TCP socket and listens; its descriptor. Throws the system's error. */
  openStreams(wish: SocketOptions): number {
    const { calls } = this.#deps;
    const fd = openStreamSocket(calls, this.#shared(wish));
    try {
      must('listen', calls.listen(fd, listenBacklog));
    } catch (error) {
      calls.close(fd);
      throw error;
    }
    this.joined('tcp', { address: wish.at.address, port: boundPort(calls, fd) }, [fd]);
    return fd;
  }

  #shared(wish: SocketOptions): SocketOptions {
    return this.#isSharing ? { ...wish, sharedWith: 'us' } : wish;
  }

  /** Records our sockets that were just bound (TCP: that listen), in this order. */
  joined(protocol: Protocol, at: Endpoint, fds: readonly number[]): void {
    const key = groupKey(protocol, at);
    const added = fds.map((fd) => ({ fd, inode: inodeOf(fd) }));
    const group: SocketGroup = this.#groups.get(key) ?? {
      protocol,
      at,
      mine: [],
      steeredTo: '',
      places: [...(this.#told[key] ?? [])],
    };
    this.#groups.set(key, group);
    const inodes = added.map(({ inode }) => inode);
    const there = this.#lookAtSockets()(protocol, at)?.filter((inode) => !inodes.includes(inode));
    if (there !== undefined) group.places = followed(group.places, there, inodesOf(group.mine));
    group.mine.push(...added);
    group.places?.push(...inodes);
    this.#steer(group);
  }

  layout(): GroupLayout {
    return Object.fromEntries([...this.#groups].map(([key, { places }]) => [key, places ?? []]));
  }

  offer(): { readonly groups: readonly string[]; readonly descriptors: readonly number[] } {
    const ours = [...this.#groups].flatMap(([key, { protocol, mine }]) =>
      protocol === 'udp' ? mine.map(({ fd }) => ({ key, fd })) : [],
    );
    return { groups: ours.map(({ key }) => key), descriptors: ours.map(({ fd }) => fd) };
  }

  /** Replaces the copies that are held by these of another process; closes sockets that are not in a group. */
  hold({ groups, descriptors }: ReturnType<Groups['offer']>): void {
    const before = this.#held;
    const sockets = this.#lookAtSockets();
    this.#held = [];
    for (const [index, fd] of descriptors.entries()) {
      const key = groups[index] ?? '';
      const group = this.#groups.get(key);
      const inode = inodeOf(fd);
      const isTheirs = group !== undefined && !inodesOf(group.mine).includes(inode);
      if (isTheirs && sockets(group.protocol, group.at)?.includes(inode)) this.#held.push({ key, fd });
      else this.#deps.calls.close(fd);
    }
    for (const { fd } of before) this.#deps.calls.close(fd);
  }

  get isHolding(): boolean {
    return this.#held.length > 0;
  }

  /** Sets who reads and closes held copies when their owner is gone. */
  inherits(heir: (at: Endpoint, fds: readonly number[]) => void): void {
    this.#heir = heir;
  }

  inherit(): void {
    const held = this.#held;
    this.#held = [];
    for (const [key, { at }] of this.#groups) {
      const fds = held.filter((each) => each.key === key).map(({ fd }) => fd);
      if (fds.length > 0) this.#heir(at, fds);
    }
    for (const { key, fd } of held) if (!this.#groups.has(key)) this.#deps.calls.close(fd);
  }

  /** Whether other processes have sockets in our groups. */
  get areShared(): boolean {
    return [...this.#groups.values()].some(({ places, mine }) => places === null || places.length > mine.length);
  }

  steer(steering: Steering): void {
    this.#steering = steering;
    for (const group of this.#groups.values()) {
      group.steeredTo = '';
      this.#steer(group);
    }
  }

  /** Looks which sockets are left, and steers by that. */
  look(): void {
    const sockets = this.#lookAtSockets();
    for (const [key, group] of this.#groups) {
      const there = sockets(group.protocol, group.at);
      if (there !== undefined) {
        group.mine = group.mine.filter(({ inode }) => there.includes(inode));
        group.places = followed(group.places, there, inodesOf(group.mine));
      } else group.mine = group.mine.filter(({ fd, inode }) => inodeOf(fd) === inode);
      if (group.mine.length === 0) this.#groups.delete(key);
      else this.#steer(group);
    }
  }

  #lookAtSockets(): SocketsAt {
    return this.#deps.lookAtSockets?.() ?? lookAtSockets(this.#deps.calls);
  }

  #steer(group: SocketGroup): void {
    if (this.#steering === 'away') return;
    const { calls, cannotSteer } = this.#deps;
    const { places, mine } = group;
    const ours = places === null ? [] : mine.map(({ inode }) => places.indexOf(inode)).sort((a, b) => a - b);
    const to = this.#steering === 'one' ? ours.slice(0, 1) : ours;
    if (group.steeredTo === to.join()) return;
    const { fd, inode } = mine[0];
    // A descriptor that was closed elsewhere may be something else by now.
    const result = inodeOf(fd) === inode ? steerTo(calls, fd, to) : 0;
    if (result >= 0) group.steeredTo = to.join();
    else if (!this.#complained && places !== null) {
      this.#complained = true;
      cannotSteer(-result);
    }
  }
}

export function groupKey(protocol: Protocol, { address, port }: Endpoint): string {
  return `${protocol} ${address} ${port}`;
}

/** The places after changes, when only `there` are left. Null when ours depend on the order in which others left. */
export function followed(
  places: readonly number[] | null,
  there: readonly number[],
  mine: readonly number[],
): number[] | null {
  const known = places ?? [];
  const strangers = there.filter((inode) => !known.includes(inode));
  // One of the predecessor's unknown sockets is now a known stranger; with all there nothing has happened.
  const unknown = known.filter((inode) => inode === 0).length;
  const gone = known.filter((inode) => inode !== 0 && !there.includes(inode));
  const left = there.every((inode) => mine.includes(inode)) ? [...there] : null;
  if (left !== null) return left;
  if (places === null || strangers.length < unknown) return null;
  const after = withoutAll(known, gone, mine);
  // New sockets come last; their order among themselves is unknown.
  return after && [...after, ...strangers.slice(unknown).map((inode) => (strangers.length === 1 ? inode : 0))];
}

/** More orders of leaving than for this many are not tried. */
const goneMax = 4;

function withoutAll(places: readonly number[], gone: readonly number[], mine: readonly number[]): number[] | null {
  if (gone.length === 0) return [...places];
  if (gone.length > goneMax) return null;
  let agreed: number[] | null = null;
  for (const first of gone) {
    const rest = withoutAll(
      without(places, first),
      gone.filter((inode) => inode !== first),
      mine,
    );
    if (rest === null) return null;
    // Our places must be certain; others that may differ become unknown.
    if (agreed !== null && !sameOwners(agreed, rest, mine)) return null;
    agreed =
      agreed === null
        ? rest
        : agreed.map((inode, place) => (inode === rest[place] || mine.includes(inode) ? inode : 0));
  }
  return agreed;
}

/** As the kernel does: the last takes the place of the one that leaves. */
function without(places: readonly number[], inode: number): number[] {
  const left = [...places];
  const last = left.pop() as number;
  const place = left.indexOf(inode);
  if (place >= 0) left[place] = last;
  return left;
}

function sameOwners(one: readonly number[], other: readonly number[], mine: readonly number[]): boolean {
  return one.every((inode, place) => mine.includes(inode) === mine.includes(other[place]));
}

function inodesOf(sockets: SocketGroup['mine']): number[] {
  return sockets.map(({ inode }) => inode);
}

function inodeOf(fd: number): number {
  try {
    return fstatSync(fd).ino;
  } catch {
    return 0;
  }
}

// Instructions of classic BPF (linux/bpf_common.h): class, size or operation, mode.
const loadWord = 0x20;
const loadHalf = 0x28;
const loadByte = 0x30;
const toIndex = 0x07;
const multiply = 0x24;
const shiftRight = 0x74;
const modulo = 0x94;
const exclusiveOrIndex = 0xac;
const jump = 0x05;
const jumpIfEqual = 0x15;
const returnConstant = 0x06;

/** Offsets from here on are relative to the IP header (SKF_NET_OFF). */
const network = -0x100000;
/** Knuth's multiplicative hash: the golden ratio times 2^32. */
const golden = 0x9e3779b1;

type Instruction = readonly [code: number, ifTrue: number, ifFalse: number, value: number];

export const instructionBytes = 8;

/**
 * Spreads packets over these places (at least one) by the sender's address and port, so a sender stays with a socket.
 * IPv4 options, which nobody sends, make it hash other bytes.
 */
export function steeringProgram(places: readonly number[]): Uint8Array {
  if (places.length === 1) return encodedInstruction([returnInstruction(places[0])]);
  const choices = places.flatMap((place, index): Instruction[] =>
    index === places.length - 1 ? [returnInstruction(place)] : [[jumpIfEqual, 0, 1, index], returnInstruction(place)],
  );
  return encodedInstruction([
    [loadByte, 0, 0, network],
    [shiftRight, 0, 0, 4],
    [jumpIfEqual, 4, 0, 6],
    [loadWord, 0, 0, network + 12],
    [toIndex, 0, 0, 0],
    [loadHalf, 0, 0, network + 20],
    [jump, 0, 0, 3],
    [loadWord, 0, 0, network + 20],
    [toIndex, 0, 0, 0],
    [loadHalf, 0, 0, network + 40],
    [exclusiveOrIndex, 0, 0, 0],
    [multiply, 0, 0, golden],
    [shiftRight, 0, 0, 16],
    [modulo, 0, 0, places.length],
    ...choices,
  ]);
}

/** Steers this socket's group to these places, or without any detaches the program; 0 or the errno. */
export function steerTo(calls: SystemCalls, fd: number, places: readonly number[]): number {
  return places.length === 0 ? calls.detachProgram(fd) : calls.attachProgram(fd, steeringProgram(places));
}

function returnInstruction(place: number): Instruction {
  return [returnConstant, 0, 0, place];
}

/** As struct sock_filter; both supported processors are little-endian. */
function encodedInstruction(instructions: readonly Instruction[]): Uint8Array {
  const bytes = new Uint8Array(instructions.length * instructionBytes);
  const view = new DataView(bytes.buffer);
  for (const [index, [code, ifTrue, ifFalse, value]] of instructions.entries()) {
    view.setUint16(index * instructionBytes, code, true);
    view.setUint8(index * instructionBytes + 2, ifTrue);
    view.setUint8(index * instructionBytes + 3, ifFalse);
    view.setUint32(index * instructionBytes + 4, value >>> 0, true);
  }
  return bytes;
}
