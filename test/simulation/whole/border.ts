/**
 * The border between the program and the world: the network as the program is given it, with every message that
 * crosses noted. What has arrived here has been accepted, so whatever the network did to it before does not matter:
 * each query is owed one answer, and here is the list of what is owed.
 */
import type {
  DatagramEvents,
  DatagramSocket,
  Endpoint,
  Network,
  Stream,
  StreamEvents,
} from '../../../src/os/network.js';
import { Unframer } from '../framing.js';
import { type ClientQuery, Conversation, type Watcher } from './conversation.js';

export class Border {
  readonly #network: Network;
  readonly #watcher: Watcher;
  readonly #owing = new Set<Conversation>();
  /** Open sockets to upstreams, and the highest number there was of each kind at one place. */
  readonly open = { datagrams: new Map<string, number>(), streams: new Map<string, number>() };

  constructor(network: Network, watcher: Watcher) {
    this.#network = network;
    this.#watcher = watcher;
  }

  /** Every query that has no answer yet. */
  *owed(): Generator<ClientQuery> {
    for (const conversation of this.#owing) {
      conversation.take();
      conversation.excuse();
      yield* conversation.owed;
    }
  }

  get isNothingOwed(): boolean {
    return this.#owing.size === 0;
  }

  /** What the program is given. */
  network(): Network {
    return {
      openDatagrams: (at, events) => this.#openDatagrams(at, events),
      connectDatagrams: (to, events, from) => this.#connectDatagrams(to, events, from),
      listenStreams: (at, accepted) =>
        this.#network.listenStreams(at, (stream) => this.#accepted(stream, at, accepted)),
      connectStream: (to, events, from) => this.#connectStream(to, events, from),
      connectPath: (path, events) => this.#network.connectPath(path, events),
    };
  }

  #conversation(of: Pick<ClientQuery, 'transport' | 'at'>, unsentBytes: () => number): Conversation {
    return new Conversation({ owing: this.#owing, watcher: this.#watcher }, of, unsentBytes);
  }

  async #openDatagrams(at: Endpoint, events: DatagramEvents): Promise<DatagramSocket> {
    const clients = new Map<string, Conversation>();
    const clientOf = ({ address, port }: Endpoint): Conversation => {
      const key = `${address}#${port}`;
      let conversation = clients.get(key);
      if (conversation === undefined) {
        conversation = this.#conversation({ transport: 'udp', at }, () => 0);
        clients.set(key, conversation);
      }
      return conversation;
    };
    const socket = await this.#network.openDatagrams(at, {
      datagram: (bytes, from) => {
        clientOf(from).asked(bytes);
        events.datagram(bytes, from);
      },
      error: (error) => events.error(error),
    });
    return {
      local: socket.local,
      send: (bytes, to) => {
        clientOf(to).answered(bytes);
        socket.send(bytes, to);
      },
      close: () => {
        for (const conversation of clients.values()) {
          this.#watcher.brokeOff(conversation.owed);
          this.#owing.delete(conversation);
        }
        socket.close();
      },
    };
  }

  #accepted(stream: Stream, at: Endpoint, accepted: (stream: Stream) => StreamEvents): StreamEvents {
    const conversation = this.#conversation({ transport: 'tcp', at }, () => stream.unsentBytes);
    const queries = new Unframer();
    const answers = new Unframer();
    let isOver = false;
    const over = (isOurDoing: boolean): void => {
      if (isOver) return;
      isOver = true;
      this.#owing.delete(conversation);
      conversation.excuse();
      if (isOurDoing) this.#watcher.brokeOff(conversation.owed);
    };
    const events = accepted({
      remote: stream.remote,
      get unsentBytes() {
        return stream.unsentBytes;
      },
      write(bytes) {
        const whole = answers.push(bytes);
        stream.write(bytes);
        for (const answer of whole) if (!isOver) conversation.answered(answer);
      },
      pause: () => stream.pause(),
      resume: () => stream.resume(),
      end() {
        over(true);
        stream.end();
      },
      destroy() {
        over(true);
        stream.destroy();
      },
    });
    return {
      data(bytes) {
        if (!isOver) for (const query of queries.push(bytes)) conversation.asked(query);
        events.data(bytes);
      },
      drained() {
        conversation.take();
        events.drained?.();
      },
      ended: () => events.ended(),
      closed(error) {
        over(false);
        if (error === undefined) events.closed();
        else events.closed(error);
      },
    };
  }

  #connectDatagrams(to: Endpoint, events: DatagramEvents, from?: string): DatagramSocket {
    const socket = this.#network.connectDatagrams(
      to,
      {
        datagram: (bytes, sender) => {
          this.#watcher.heard(to, Buffer.from(bytes));
          events.datagram(bytes, sender);
        },
        error: (error) => events.error(error),
      },
      from,
    );
    change(this.open.datagrams, to, 1);
    let isOpen = true;
    return {
      local: socket.local,
      send: (bytes, place) => {
        this.#watcher.requested(to, Buffer.from(bytes));
        socket.send(bytes, place);
      },
      close: () => {
        if (isOpen) change(this.open.datagrams, to, -1);
        isOpen = false;
        socket.close();
      },
    };
  }

  #connectStream(to: Endpoint, events: StreamEvents, from?: string): Stream {
    const requests = new Unframer();
    const answers = new Unframer();
    change(this.open.streams, to, 1);
    const stream = this.#network.connectStream(
      to,
      {
        opened: () => events.opened?.(),
        data: (bytes) => {
          for (const message of answers.push(bytes)) this.#watcher.heard(to, Buffer.from(message));
          events.data(bytes);
        },
        drained: () => events.drained?.(),
        ended: () => events.ended(),
        closed: (error) => {
          change(this.open.streams, to, -1);
          if (error === undefined) events.closed();
          else events.closed(error);
        },
      },
      from,
    );
    return {
      remote: stream.remote,
      get unsentBytes() {
        return stream.unsentBytes;
      },
      write: (bytes) => {
        for (const message of requests.push(bytes)) this.#watcher.requested(to, Buffer.from(message));
        stream.write(bytes);
      },
      pause: () => stream.pause(),
      resume: () => stream.resume(),
      end: () => stream.end(),
      destroy: () => stream.destroy(),
    };
  }
}

function change(counts: Map<string, number>, { address, port }: Endpoint, by: number): void {
  const key = `${address}:${port}`;
  counts.set(key, (counts.get(key) ?? 0) + by);
}
