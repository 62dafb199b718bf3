/**
 * The network as the program sees it: the kernel's sockets as four functions. `node-network.ts` is the real one;
 * tests put an in-memory network in its place, which is why these few verbs and no others are used.
 *
 * Bytes handed to a callback are borrowed until it returns; bytes handed to `send` and `write` are borrowed until
 * the call returns (the implementation copies what it cannot pass on at once).
 */

/** An address and port; `address` is a literal IPv4 or IPv6 address, never a name. */
export interface Endpoint {
  readonly address: string;
  readonly port: number;
}

export interface DatagramSocket {
  /** The address that was bound; the port is the real one when 0 was asked for. */
  readonly local: Endpoint;
  /** Sends one datagram; a full socket buffer or an unreachable peer loses it, counted by the implementation. */
  send(bytes: Uint8Array, to: Endpoint): void;
  close(): void;
}

export interface DatagramEvents {
  datagram(bytes: Uint8Array, from: Endpoint): void;
  /** The socket failed; for a connected socket ECONNREFUSED means that nobody listens there. It stays open. */
  error(error: NodeJS.ErrnoException): void;
}

/** From this many unsent bytes of a stream on, `drained` is promised. */
export const unsentBytesHigh = 64 * 1024;

/** Connections that wait to be accepted, on each listener. */
export const listenBacklog = 511;

/** One TCP connection, client's or ours. */
export interface Stream {
  readonly remote: Endpoint;
  /** Bytes that were written and not yet taken by the kernel. */
  readonly unsentBytes: number;
  write(bytes: Uint8Array): void;
  /** Stops and resumes delivery of `data`. */
  pause(): void;
  resume(): void;
  /**
   * Lets the peer know at once that its bytes have come, where that can be done. A peer that keeps small messages
   * together (RFC 896) does not send the next before it knows, and a system may wait 40 ms with saying so.
   */
  acknowledge?(): void;
  /** Sends what is queued, then FIN. */
  end(): void;
  /** Drops the connection at once. */
  destroy(): void;
}

export interface StreamEvents {
  /** The connection is established (only for connections that we opened). */
  opened?(): void;
  data(bytes: Uint8Array): void;
  /** `unsentBytes` had reached `unsentBytesHigh` and is zero now; it may also come when it had not. */
  drained?(): void;
  /** The peer sent FIN; we may still write. */
  ended(): void;
  /** The last event, always given exactly once; `error` tells why when it was not an orderly close. */
  closed(error?: NodeJS.ErrnoException): void;
}

export interface Listener {
  readonly local: Endpoint;
  /** Stops accepting; connections that are open live on. */
  close(): void;
}

/** How a server proves who it is, and we to it. */
export interface TlsSettings {
  /** The name in its certificate; null: its address is. */
  readonly serverName: string | null;
  /** Who signed it, and our certificate and key; null: somebody the system trusts, and we have none. */
  readonly material: TlsMaterial | null;
  /** False: whoever answers is taken for the server. */
  readonly isVerified?: boolean;
}

/**
 * A CA, a certificate and its key that were understood (tls.ts). It has none of their text: a heap snapshot shows what
 * JavaScript can read, and may be seen by more people than the key.
 */
export interface TlsMaterial {
  /** The same for the same files in this process, and of no meaning in another one. */
  readonly digest: string;
}

export interface Network {
  /** Binds a UDP socket. Rejects with the system's error (EADDRINUSE, EACCES, EADDRNOTAVAIL). */
  openDatagrams(at: Endpoint, events: DatagramEvents): Promise<DatagramSocket>;
  /**
   * Opens a UDP socket that talks to one peer only, from a fresh random port: datagrams from others never arrive.
   * It may be used at once; `sourceAddress` is the local address to send from. Where no socket is to be had, as no
   * descriptor is left, its local port is 0, and the error follows.
   */
  connectDatagrams(to: Endpoint, events: DatagramEvents, sourceAddress?: string): DatagramSocket;
  /** Listens for TCP; `accepted` is called per connection and returns what wants its events. */
  listenStreams(at: Endpoint, accepted: (stream: Stream) => StreamEvents): Promise<Listener>;
  /** The addresses of this host's interfaces as they are now; a network without hosts has none. */
  hostAddresses?(): readonly string[];
  /**
   * Opens a TCP connection, or one of TLS over it; failure arrives as `closed(error)`. Here the address may be a name,
   * which the system resolves in its own time.
   */
  connectStream(to: Endpoint, events: StreamEvents, sourceAddress?: string, tls?: TlsSettings): Stream;
  /** The same to the unix socket at a path of this machine. */
  connectPath(path: string, events: StreamEvents): Stream;
}

/** Somebody who listens at a path of this machine. */
export interface LocalListener {
  /** Whether who connects to the path now finds this listener, and not another one that has taken its place. */
  isInPlace(): boolean;
  /** Stops listening, and removes the path where it is still ours. */
  close(): void;
}

/** Bytes, and open descriptors that whoever fetches it gets copies of, to be closed by them. */
export interface Greeting {
  readonly bytes: Uint8Array;
  readonly descriptors: readonly number[];
}

/** Unix sockets, for processes of the same user only: those of others are neither accepted nor talked to. */
export interface LocalSockets {
  /** Without a stream and without a `why` nobody listens at the path. */
  connect(
    path: string,
    events: StreamEvents,
  ): { readonly stream: Stream; readonly why: null } | { readonly stream: null; readonly why: string | null };
  /** Asks who listens for its greeting alone, and gives it when it comes; the result gives up waiting. */
  fetch(path: string, came: (greeting: Greeting) => void): () => void;
  /** Takes the path, also from somebody who listens there. Whoever connects gets the greeting first. */
  listen(
    path: string,
    accepted: (stream: Stream) => StreamEvents,
    greeting: () => Greeting,
  ): { readonly listener: LocalListener; readonly why: null } | { readonly listener: null; readonly why: string };
}
