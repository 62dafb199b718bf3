/**
 * The network as the program uses it; `node-network.ts` is the real one, tests have one in memory. Bytes are borrowed:
 * those of a callback until it returns, those of `send` and `write` until the call returns.
 */

/** `address` is a literal IPv4 or IPv6 address, never a name. */
export interface Endpoint {
  readonly address: string;
  readonly port: number;
}

export interface DatagramSocket {
  /** The bound endpoint with a real port. */
  readonly local: Endpoint;
  /** Sends one datagram. One lost to a full buffer or an unreachable peer is counted by the implementation. */
  send(bytes: Uint8Array, to: Endpoint): void;
  close(): void;
}

export interface DatagramEvents {
  datagram(bytes: Uint8Array, from: Endpoint): void;
  /** The socket failed and stays open; ECONNREFUSED on a connected socket means that nobody listens there. */
  error(error: NodeJS.ErrnoException): void;
}

/** A stream that had this many unsent bytes emits `drained`. */
export const unsentBytesHigh = 64 * 1024;

export const listenBacklog = 511;

export interface Stream {
  readonly remote: Endpoint;
  /** For a thread that uses it while the stream is paused. Streams of Node.js have none to lend. */
  readonly fd?: number;
  readonly unsentBytes: number;
  write(bytes: Uint8Array): void;
  pause(): void;
  resume(): void;
  /** Acknowledges what was read. A peer that collects small messages (RFC 896) waits for it; systems delay it by 40 ms. */
  acknowledge?(): void;
  end(): void;
  destroy(): void;
}

export interface StreamEvents {
  /** Only for connections that we opened. */
  opened?(): void;
  data(bytes: Uint8Array): void;
  /** `unsentBytes` is zero after `unsentBytesHigh` or more; may also come after less. */
  drained?(): void;
  /** The peer sent FIN; we may still write. */
  ended(): void;
  /** The last event, exactly once; `error` unless the close was orderly. */
  closed(error?: NodeJS.ErrnoException): void;
}

export interface Listener {
  readonly local: Endpoint;
  close(): void;
}

export interface TlsSettings {
  /** The name in the server's certificate; null: its address. */
  readonly serverName: string | null;
  /** CA, certificate and key; null: the system's CAs, and no certificate of ours. */
  readonly material: TlsMaterial | null;
  /** False: the certificate is not checked. */
  readonly isVerified?: boolean;
}

/** A parsed CA, certificate and key (tls.ts), without their text, which a heap snapshot would show. */
export interface TlsMaterial {
  /** Equal for equal files, in this process only. */
  readonly digest: string;
}

export interface Network {
  /** Binds a UDP socket. Rejects with the system's error (EADDRINUSE, EACCES, EADDRNOTAVAIL). */
  openDatagrams(at: Endpoint, events: DatagramEvents): Promise<DatagramSocket>;
  /**
   * Opens a UDP socket to one peer, from a fresh random port; datagrams from others never arrive. Usable at once; sends
   * from `sourceAddress`. Without a free descriptor the local port is 0 and the error follows.
   */
  connectDatagrams(to: Endpoint, events: DatagramEvents, sourceAddress?: string): DatagramSocket;
  /** Listens for TCP; `accepted` returns the receiver of a connection's events. */
  listenStreams(at: Endpoint, accepted: (stream: Stream) => StreamEvents): Promise<Listener>;
  /** The addresses of this host's interfaces now; absent in networks without hosts. */
  hostAddresses?(): readonly string[];
  /** Opens a TCP or TLS connection; fails as `closed(error)`. The system resolves an `address` that is a name. */
  connectStream(to: Endpoint, events: StreamEvents, sourceAddress?: string, tls?: TlsSettings): Stream;
  connectPath(path: string, events: StreamEvents): Stream;
}

export interface LocalListener {
  /** Whether a client of the path reaches this listener, not one that replaced it. */
  isInPlace(): boolean;
  /** Stops listening, and removes the path if it is still ours. */
  close(): void;
}

/** Bytes and copies of open descriptors, which the receiver closes. */
export interface Greeting {
  readonly bytes: Uint8Array;
  readonly descriptors: readonly number[];
}

/** Unix sockets between processes of one user; others are neither accepted nor talked to. */
export interface LocalSockets {
  /** Null for both `stream` and `why`: nobody listens at the path. */
  connect(
    path: string,
    events: StreamEvents,
  ): { readonly stream: Stream; readonly why: null } | { readonly stream: null; readonly why: string | null };
  /** Fetches only the listener's greeting; the result gives up. */
  fetch(path: string, came: (greeting: Greeting) => void): () => void;
  /** Takes over the path from any listener. Clients get the greeting first. */
  listen(
    path: string,
    accepted: (stream: Stream) => StreamEvents,
    greeting: () => Greeting,
  ): { readonly listener: LocalListener; readonly why: null } | { readonly listener: null; readonly why: string };
}

/** Unix sockets between processes of one user, without descriptors; also where there are no system calls. */
export interface PathSockets {
  /** Takes over the path from any listener, for its owner alone. Rejects with the system's error. */
  listen(path: string, accepted: (stream: Stream) => StreamEvents): Promise<LocalListener>;
  /** Rejects with the system's error: ENOENT or ECONNREFUSED where nobody listens, EPERM where another user does. */
  connect(path: string, events: StreamEvents): Promise<Stream>;
}
