/**
 * A small HTTP server for probes and scrapes: exact paths, any method (kubelets and people differ), bounds on
 * everything, and no bodies read. Who may be answered what is decided in the routes; this file moves bytes.
 */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import type { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { httpRequestBytesMax, httpTimeoutMs } from '../limits.js';
import { plainEndpoint } from '../os/addresses.js';
import type { Clock } from '../os/clock.js';
import type { Endpoint } from '../os/network.js';
import { raiseOpenFiles } from '../os/open-files.js';
import { Places } from './http-places.js';

export interface HttpAnswer {
  readonly status: number;
  readonly body: string;
  /** Plain text unless said. */
  readonly contentType?: string;
  /** What follows the body, as fast as the client takes it. Where it fails, the connection ends. */
  readonly rest?: Readable;
}

/** What a route may know of who asks. */
export interface Asked {
  /** What stands behind the path's question mark. */
  readonly query: URLSearchParams;
  /** By a program of this host, over loopback or from the address that it asks: the kernel lets no other have that. */
  readonly isLocal: boolean;
  /** Of the connection. */
  readonly remote: Endpoint;
  readonly local: Endpoint;
}

/** Answers by path, `/health`. They are late when they like. */
export type HttpRoutes = Readonly<Record<string, (asked: Asked) => Promise<HttpAnswer>>>;

/** Binds a socket in another way than Node.js does; its descriptor. Throws the system's error. */
type BindHttp = (at: Endpoint) => number;

export interface HttpServer {
  /** The port is the real one when 0 was asked for. */
  readonly local: Endpoint;
  /** Stops listening, lets answers that are on their way go out, and drops idle connections. */
  close(): Promise<void>;
}

/** The one that is being answered, and the next. */
const requestsUnansweredMax = 2;
/** A body is in memory until it has been read; streams have times of their own. */
const answerSendMs = 2 * httpTimeoutMs;
const plainText = 'text/plain; charset=utf-8';
const notFound: HttpAnswer = { status: 404, body: '404 page not found\n' };

/** What a server of this kind needs of the outside. */
interface HttpOutside {
  readonly clock: Clock;
  /** Is told of a route that throws, which is a bug. */
  failed(error: unknown): void;
  /** Addresses of this host's interfaces: connections from these have places of their own. */
  hostAddresses(): readonly string[];
  /** Without it the socket is bound as Node.js binds it. */
  readonly bind?: BindHttp | undefined;
}

interface Connection {
  readonly socket: Socket;
  /** Null: a program of this host. */
  readonly address: string | null;
  /** Requests that have come and whose answers have not gone out. */
  unanswered: number;
  /** The last of these has been answered, whole. */
  answered: Promise<void>;
  isWorking: boolean;
  close(): void;
}

/**
 * Listens and answers. The unspecified address `::` means all addresses; without IPv6 that is 0.0.0.0. Rejects with
 * the system's error, which `listenFailure` puts into a sentence. Where a route throws, the client gets 500.
 */
export async function startHttp(at: Endpoint, routes: HttpRoutes, outside: HttpOutside): Promise<HttpServer> {
  const places = new Places<Connection>();
  const connections = new WeakMap<Socket, Connection>();
  const bytesOf = newEncoder();
  let lastTurn: Promise<void> = Promise.resolve();
  /** One answer in each turn of the loop: where many ask in a loop, DNS has its turn between two answers. */
  const turnOf = (socket: Socket): Promise<void> => {
    lastTurn = lastTurn.then(() => {
      // A client that has gone takes no turn from others.
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
      // Answers are made one at a time: requests sent ahead must not be a way to more work than others can ask for.
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
    // A client that is gone before we look has no address.
    if (remoteAddress === undefined) return void socket.destroy();
    const plain = plainEndpoint(remoteAddress, 0).address;
    const address = isLocal(socket) || outside.hostAddresses().includes(plain) ? null : plain;
    const connection: Connection = {
      ...{ socket, address, unanswered: 0, isWorking: false, answered: Promise.resolve() },
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
        // closeIdleConnections leaves those alone that have not sent anything yet; they would hold up our end for seconds.
        for (const { socket, unanswered } of [...places]) if (unanswered === 0) socket.destroy();
      }),
  };
}

/** One sentence for the error that `startHttp` rejected with: what could not be done, and what to change. */
export function listenFailure(at: Endpoint, error: NodeJS.ErrnoException): string {
  const where = at.address.includes(':') ? `[${at.address}]:${at.port}` : `${at.address}:${at.port}`;
  const remedies: Readonly<Record<string, string>> = {
    EADDRINUSE: 'address already in use; stop the other program or choose another port',
    EACCES: 'ports below 1024 need the capability NET_BIND_SERVICE; grant it or choose another port',
    EMFILE: `too many open files; ${raiseOpenFiles()}`,
    EADDRNOTAVAIL: 'no interface has this address; write an address of the node',
  };
  return `cannot listen for HTTP on ${where}: ${remedies[error.code ?? ''] ?? error.message}.`;
}

/**
 * Routes of one endpoint in one place, because two directives may name the same address. Endpoints that differ in
 * writing only are different here; the second one to listen then fails.
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
    const asked = { query: new URLSearchParams(query.join('?')), isLocal: isLocal(request.socket), remote, local };
    return await routes[path](asked);
  } catch (error) {
    failed(error);
    return { status: 500, body: 'internal error\n' };
  }
}

/** A long text that is given to many becomes bytes once, which all who read it slowly then share. */
function newEncoder(): (body: string) => Buffer {
  let last = { body: '', bytes: Buffer.alloc(0) };
  return (body) => {
    if (body !== last.body) last = { body, bytes: Buffer.from(body, 'utf8') };
    return last.bytes;
  };
}

type Encoded = HttpAnswer & { readonly bytes: Buffer };

async function send(request: IncomingMessage, response: ServerResponse, made: Encoded): Promise<void> {
  const { status, bytes, contentType = plainText, rest } = made;
  const isHead = request.method === 'HEAD';
  // A body is nothing we asked for; reading it only to keep the connection would have no bound.
  // Nor does a place stay with a client for what is not there, or was not understood.
  if (hasBody(request) || status >= 400) response.setHeader('Connection', 'close');
  response.setHeader('Content-Type', contentType);
  if (rest === undefined) response.setHeader('Content-Length', bytes.length);
  response.writeHead(status);
  if (isHead || rest === undefined) {
    rest?.destroy();
    response.end(isHead ? undefined : bytes);
    return;
  }
  response.write(bytes);
  // A client that has gone is no failure; one that is still there sees that the end is missing.
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
