/**
 * A small HTTP server for probes and scrapes: exact paths, any method (kubelets and people differ), bounds on everything,
 * and no bodies read. The routes decide on access, and on methods if they care.
 */
import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import type { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { formatEndpoint } from '../config/addresses.js';
import { httpRequestBytesMax, httpTimeoutMs } from '../limits.js';
import { plainEndpoint } from '../os/addresses.js';
import type { Clock } from '../os/clock.js';
import type { Endpoint } from '../os/network.js';
import { raiseOpenFiles } from '../os/open-files.js';
import { Places } from './http-places.js';

/**
 * Not imported: for the names of a module that is imported Node.js 24 calls each getter, and that of `WebSocket` loads a
 * whole HTTP client, megabytes of it.
 */
const { createServer } = process.getBuiltinModule('node:http');

export interface HttpAnswer {
  readonly status: number;
  readonly body: string;
  /** Plain text by default. */
  readonly contentType?: string;
  readonly headers?: Readonly<Record<string, string>>;
  /** Follows the body, as fast as the client reads. Its failure ends the connection. */
  readonly rest?: Readable;
}

/** A request. */
export interface Asked {
  readonly method: string;
  /** The header Host; empty without it. */
  readonly host: string;
  readonly query: URLSearchParams;
  /** From a program of this host, over loopback or with equal addresses at both ends, which the kernel grants no other. */
  readonly isLocal: boolean;
  readonly remote: Endpoint;
  readonly local: Endpoint;
}

/** Answers by path, such as `/health`. They may take any time. */
export type HttpRoutes = Readonly<Record<string, (asked: Asked) => Promise<HttpAnswer>>>;

/** Replaces Node.js's bind; returns a descriptor. Throws the system's error. */
type BindHttp = (at: Endpoint) => number;

export interface HttpServer {
  /** With the actual port if 0 was given. */
  readonly local: Endpoint;
  /** Stops listening, completes answers in progress, and drops idle connections. */
  close(): Promise<void>;
}

/** The one in progress, and the next. */
const requestsUnansweredMax = 2;
/** A body is in memory until the client has read it; streams have their own limits. */
const answerSendMs = 2 * httpTimeoutMs;
const plainText = 'text/plain; charset=utf-8';
const notFound: HttpAnswer = { status: 404, body: '404 page not found\n' };

interface HttpOutside {
  readonly clock: Clock;
  /** Receives errors of routes, which are bugs. */
  failed(error: unknown): void;
  /** Addresses of this host's interfaces: connections from them have places of their own. */
  hostAddresses(): readonly string[];
  readonly bind?: BindHttp | undefined;
}

interface HttpConnection {
  readonly socket: Socket;
  /** Null: a program of this host. */
  readonly address: string | null;
  /** The number of requests without a complete answer. */
  unanswered: number;
  /** Resolves when the last of them is answered. */
  answered: Promise<void>;
  isWorking: boolean;
  close(): void;
}

/**
 * Listens and answers. The unspecified address `::` means all addresses; without IPv6 that is 0.0.0.0. Rejects with the
 * system's error, for `listenFailure`. If a route throws, the client gets 500.
 */
export async function startHttp(at: Endpoint, routes: HttpRoutes, outside: HttpOutside): Promise<HttpServer> {
  const places = new Places<HttpConnection>();
  const connections = new WeakMap<Socket, HttpConnection>();
  const bytesOf = newEncoder();
  let lastTurn: Promise<void> = Promise.resolve();
  /** One answer in each turn of the event loop, so that DNS runs between the answers of a flood. */
  const turnOf = (socket: Socket): Promise<void> => {
    lastTurn = lastTurn.then(() => {
      // A disconnected client takes no turn.
      if (!socket.destroyed) return new Promise((resolve) => setImmediate(resolve));
      return undefined;
    });
    return lastTurn;
  };
  const server = createServer(
    {
      maxHeaderSize: httpRequestBytesMax,
      headersTimeout: httpTimeoutMs,
      requestTimeout: httpTimeoutMs,
      keepAliveTimeout: httpTimeoutMs,
      connectionsCheckingInterval: httpTimeoutMs / 2,
    },
    (request, response) => {
      const connection = connections.get(request.socket);
      if (connection === undefined) return;
      connection.unanswered++;
      // One answer at a time: pipelined requests must not get a client more work done than others.
      if (connection.unanswered > requestsUnansweredMax) return void request.socket.destroy();
      places.used(connection, connection.address);
      const before = connection.answered;
      connection.answered = new Promise((resolve) => response.once('close', resolve));
      response.once('close', () => {
        connection.unanswered--;
        if (!server.listening) request.socket.end();
      });
      void before
        .then(() => turnOf(request.socket))
        .then(async () => {
          if (request.socket.destroyed) return;
          connection.isWorking = true;
          const made = await make(request, routes, outside.failed);
          connection.isWorking = false;
          const late = outside.clock.after(answerSendMs, () => {
            if (made.rest === undefined) request.socket.destroy();
          });
          response.once('close', () => late.stop());
          await send(request, response, { ...made, bytes: bytesOf(made.body) });
        });
    },
  );
  server.on('connection', (socket) => {
    const { remoteAddress } = socket;
    // A client that has already disconnected has no address.
    if (remoteAddress === undefined) return void socket.destroy();
    const plain = plainEndpoint(remoteAddress, 0).address;
    const address = isLocal(socket) || outside.hostAddresses().includes(plain) ? null : plain;
    const connection: HttpConnection = {
      socket,
      address,
      unanswered: 0,
      isWorking: false,
      answered: Promise.resolve(),
      close: () => void socket.destroy(),
    };
    connections.set(socket, connection);
    places.enter(connection, address);
    socket.once('close', () => places.leave(connection, address));
  });
  server.timeout = 2 * httpTimeoutMs;
  server.on('timeout', (socket: Socket) => {
    if (connections.get(socket)?.isWorking !== true) socket.destroy();
  });
  await listenWithFallback(server, at, outside.bind);
  const { address, port } = server.address() as AddressInfo;
  return {
    local: { address, port },
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        // closeIdleConnections skips connections without any request, which would delay the end for seconds.
        for (const { socket, unanswered } of [...places]) if (unanswered === 0) socket.destroy();
      }),
  };
}

/** One sentence for an error of `startHttp`: what failed, and what to change. */
export function listenFailure(at: Endpoint, error: NodeJS.ErrnoException): string {
  const remedies: Readonly<Record<string, string>> = {
    EADDRINUSE: 'address already in use; stop the other program or choose another port',
    EACCES: 'ports below 1024 need the capability NET_BIND_SERVICE; grant it or choose another port',
    EMFILE: `too many open files; ${raiseOpenFiles()}`,
    EADDRNOTAVAIL: 'no interface has this address; write an address of the node',
  };
  return `cannot listen for HTTP on ${formatEndpoint(at)}: ${remedies[error.code ?? ''] ?? error.message}.`;
}

/**
 * The routes by endpoint, since two directives may name the same address. Endpoints in different notation stay separate;
 * listening on the second one then fails.
 */
export function groupRoutes(
  wanted: readonly { readonly at: Endpoint; readonly routes: HttpRoutes }[],
): { readonly at: Endpoint; readonly routes: HttpRoutes }[] {
  const groups = new Map<string, { at: Endpoint; routes: HttpRoutes }>();
  for (const { at, routes } of wanted) {
    const key = `${at.address} ${at.port}`;
    const group = groups.get(key);
    if (group === undefined) groups.set(key, { at, routes });
    else group.routes = { ...group.routes, ...routes };
  }
  return [...groups.values()];
}

async function make(
  request: IncomingMessage,
  routes: HttpRoutes,
  failed: (error: unknown) => void,
): Promise<HttpAnswer> {
  const [path, ...query] = (request.url ?? '').split('?');
  try {
    if (!Object.hasOwn(routes, path)) return notFound;
    const { remoteAddress = '', remotePort = 0, localAddress = '', localPort = 0 } = request.socket;
    const [remote, local] = [plainEndpoint(remoteAddress, remotePort), plainEndpoint(localAddress, localPort)];
    const { method = '', headers } = request;
    const asks = { method, host: headers.host ?? '', query: new URLSearchParams(query.join('?')) };
    return await routes[path]({ ...asks, isLocal: isLocal(request.socket), remote, local });
  } catch (error) {
    failed(error);
    return { status: 500, body: 'internal error\n' };
  }
}

/** Encodes a text once, so that all slow readers of a long one share the bytes. */
function newEncoder(): (body: string) => Buffer {
  let last = { body: '', bytes: Buffer.alloc(0) };
  return (body) => {
    if (body !== last.body) last = { body, bytes: Buffer.from(body, 'utf8') };
    return last.bytes;
  };
}

type Encoded = HttpAnswer & { readonly bytes: Buffer };

async function send(request: IncomingMessage, response: ServerResponse, made: Encoded): Promise<void> {
  const { status, bytes, contentType = plainText, headers = {}, rest } = made;
  const isHead = request.method === 'HEAD';
  // Reading an unwanted body only to keep the connection would have no bound. A client error frees the place, too.
  if (hasBody(request) || status >= 400) response.setHeader('Connection', 'close');
  response.setHeader('Content-Type', contentType);
  for (const [name, value] of Object.entries(headers)) response.setHeader(name, value);
  if (rest === undefined) response.setHeader('Content-Length', bytes.length);
  response.writeHead(status);
  if (isHead || rest === undefined) {
    rest?.destroy();
    response.end(isHead ? undefined : bytes);
    return;
  }
  response.write(bytes);
  // A disconnect is no failure; a client that is still connected sees that the end is missing.
  await pipeline(rest, response).catch(() => response.destroy());
}

function isLocal({ remoteAddress = '', localAddress }: Socket): boolean {
  return remoteAddress === localAddress || /^(?:::1$|(?:::ffff:)?127\.)/.test(remoteAddress);
}

function hasBody({ headers }: IncomingMessage): boolean {
  return headers['transfer-encoding'] !== undefined || Number(headers['content-length'] ?? 0) > 0;
}

async function listenWithFallback(server: Server, { address, port }: Endpoint, bind?: BindHttp): Promise<void> {
  try {
    await listen(server, { address, port }, bind);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (address !== '::' || (code !== 'EAFNOSUPPORT' && code !== 'EADDRNOTAVAIL')) throw error;
    await listen(server, { address: '0.0.0.0', port }, bind);
  }
}

function listen(server: Server, at: Endpoint, bind: BindHttp | undefined): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    const listening = (): void => {
      server.removeListener('error', reject);
      resolve();
    };
    if (bind === undefined) server.listen({ host: at.address, port: at.port }, listening);
    else server.listen({ fd: bind(at) }, listening);
  });
}
