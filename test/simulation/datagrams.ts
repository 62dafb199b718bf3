/**
 * UDP on the in-memory network: bound and connected sockets, with loss, duplication, delay and reordering.
 */
import type { DatagramEvents, DatagramSocket, Endpoint } from '../../src/os/network.js';
import { systemError } from './faults.js';
import { chance } from './random.js';
import { Bindings, count, type Flow, keyOf, unspecified4, unspecified6, type Wires } from './wires.js';

const datagramBytesMax = 65_507;

interface BoundSocket {
  readonly local: Endpoint;
  /** Set for a connected socket: the only peer it hears. */
  readonly peer: Endpoint | null;
  readonly events: DatagramEvents;
  /** The address of ours that a peer wrote to: a wildcard socket answers from it. */
  readonly spokenTo: Map<string, string>;
  isOpen: boolean;
}

export class Datagrams {
  readonly #wires: Wires;
  readonly #bound = new Bindings<BoundSocket>();
  readonly #flows = new Map<string, Flow>();

  constructor(wires: Wires) {
    this.#wires = wires;
  }

  get socketsOpen(): number {
    return this.#bound.count;
  }

  open(at: Endpoint, peer: Endpoint | null, events: DatagramEvents): DatagramSocket {
    const local = { address: at.address, port: at.port === 0 ? this.#wires.ephemeralPort() : at.port };
    const socket: BoundSocket = { local, peer, events, spokenTo: new Map(), isOpen: true };
    this.#bound.add(local, socket);
    return {
      local,
      send: (bytes, to) => {
        if (!socket.isOpen) throw new Error('send on a socket that is closed');
        this.#send(socket, Uint8Array.from(bytes), to);
      },
      close: () => {
        if (!socket.isOpen) return;
        socket.isOpen = false;
        this.#bound.delete(local);
      },
    };
  }

  #send(socket: BoundSocket, bytes: Uint8Array, to: Endpoint): void {
    if (bytes.length > datagramBytesMax) return;
    const { address, port } = socket.local;
    const isWildcard = address === unspecified4 || address === unspecified6;
    const from = isWildcard ? { address: socket.spokenTo.get(keyOf(to)) ?? address, port } : socket.local;
    const [flow, server] = this.#flowOf(from, to);
    count(server === to ? flow.toServer : flow.toClient, bytes.length);
    if (this.#wires.isStalled(server)) return;
    const faults = this.#wires.faultsFor(server);
    const { random } = this.#wires;
    if (chance(random, faults.dropShare)) return;
    const copies = chance(random, faults.duplicateShare) ? 2 : 1;
    for (let copy = 0; copy < copies; copy++) {
      const lateMs = chance(random, faults.reorderShare) ? faults.reorderMs : 0;
      this.#wires.at(this.#wires.arrivalMs(faults) + lateMs, () =>
        this.#arrive(socket, Uint8Array.from(bytes), from, to),
      );
    }
  }

  #arrive(sender: BoundSocket, bytes: Uint8Array, from: Endpoint, to: Endpoint): void {
    const receiver = this.#bound.find(to);
    if (receiver === undefined) {
      // The port-unreachable message travels back; only a connected socket hears of it.
      if (sender.peer === null) return;
      this.#wires.at(this.#wires.arrivalMs(this.#wires.faultsFor(to)), () => {
        if (sender.isOpen) sender.events.error(systemError('ECONNREFUSED', 'recvmsg'));
      });
      return;
    }
    if (receiver.peer !== null && keyOf(receiver.peer) !== keyOf(from)) return;
    if (receiver.local.address !== to.address) receiver.spokenTo.set(keyOf(from), to.address);
    // A Buffer, as Node gives it: whoever copies with `slice` gets a view of bytes that are gone, and is found out.
    receiver.events.datagram(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length), from);
    bytes.fill(0xdd);
  }

  /** The flow of these two, and which of them is its server: the one who was spoken to first. */
  #flowOf(from: Endpoint, to: Endpoint): [Flow, Endpoint] {
    const reply = this.#flows.get(`${keyOf(to)}>${keyOf(from)}`);
    if (reply !== undefined) return [reply, from];
    const key = `${keyOf(from)}>${keyOf(to)}`;
    let flow = this.#flows.get(key);
    if (flow === undefined) {
      flow = this.#wires.openFlow('udp', from, to);
      this.#flows.set(key, flow);
    }
    return [flow, to];
  }
}
