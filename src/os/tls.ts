/**
 * TLS connections to servers (DNS over TLS, RFC 7858), the one user of node:tls. A server's session is kept, so that
 * the next connection costs no full handshake (RFC 8446 2.2); who takes up a session does not look at certificates
 * again, so it is kept with the settings by which they were looked at, and is forgotten with them. Our key is in
 * OpenSSL's memory alone, from the moment at which it was read. What goes over the connection is not known here.
 */
import { createHmac, generateKeySync, type KeyObject } from 'node:crypto';
import { createRequire } from 'node:module';
import type * as nodeTls from 'node:tls';
import type { Endpoint, TlsMaterial, TlsSettings } from './network.js';

const minVersion = 'TLSv1.2';

/** Sessions kept for one forward's settings, one for each server. */
const sessionsMax = 256;

/** Opens connections and remembers sessions. Settings are told apart as objects: what a reload reads again is new. */
type ConnectTls = (to: Endpoint, settings: TlsSettings, sourceAddress: string | undefined) => nodeTls.TLSSocket;

/** PEM files as bytes; certificate and key come together. */
export interface PemBytes {
  readonly ca: Buffer | null;
  readonly certificate: Buffer | null;
  readonly key: Buffer | null;
}

/** What is made of settings once. */
interface Known {
  readonly secureContext: nodeTls.SecureContext;
  readonly sessions: Map<string, Buffer>;
}

/** Beside the material and not in it, so that it cannot be copied, frozen or printed with a configuration. */
const contexts = new WeakMap<TlsMaterial, nodeTls.SecureContext>();

/** What the digests of this process are made with; a key object, so that the heap does not have it either. */
let digestKey: KeyObject | null = null;

/**
 * Borrows the bytes until it returns, and leaves nothing of them in JavaScript: they may be overwritten then. Throws in
 * OpenSSL's words when no connection can be made with them.
 */
export function newTlsMaterial({ ca, certificate, key }: PemBytes): TlsMaterial {
  const secureContext = loadTls().createSecureContext({
    minVersion,
    ...(ca === null ? {} : { ca }),
    ...(certificate === null || key === null ? {} : { cert: certificate, key }),
  });
  const material = {
    digest: [ca, certificate, key].map((bytes) => (bytes === null ? '-' : digestOf(bytes))).join(' '),
  };
  contexts.set(material, secureContext);
  return material;
}

/** Keyed, so that a digest does not tell whether the file had a certain key. */
function digestOf(bytes: Buffer): string {
  digestKey ??= generateKeySync('hmac', { length: 256 });
  return createHmac('sha256', digestKey).update(bytes).digest('hex');
}

/** The certificate must be valid for `serverName`, or for the address where there is none. */
export function tlsConnector(): ConnectTls {
  const known = new WeakMap<TlsSettings, Known>();
  return (to, settings, sourceAddress) => {
    const { secureContext, sessions } = known.get(settings) ?? {
      secureContext: contextFor(settings),
      sessions: new Map(),
    };
    known.set(settings, { secureContext, sessions });
    const { serverName, isVerified = true } = settings;
    const id = `${to.address} ${to.port}`;
    const session = sessions.get(id);
    const socket = loadTls().connect({
      host: to.address,
      port: to.port,
      ALPNProtocols: ['dot'],
      secureContext,
      rejectUnauthorized: isVerified,
      ...(serverName === null ? {} : { servername: serverName }),
      ...(session === undefined ? {} : { session }),
      ...(sourceAddress === undefined ? {} : { localAddress: sourceAddress }),
    });
    socket.setNoDelay(true);
    socket.on('session', (next) => {
      sessions.delete(id);
      if (sessions.size < sessionsMax) sessions.set(id, next);
    });
    // One that the server did not like is not offered again.
    socket.on('error', () => sessions.delete(id));
    return socket;
  };
}

function contextFor({ material }: TlsSettings): nodeTls.SecureContext {
  if (material === null) return loadTls().createSecureContext({ minVersion });
  const secureContext = contexts.get(material);
  if (secureContext === undefined) throw new Error('this TLS material was not made by newTlsMaterial');
  return secureContext;
}

/** By the first that needs it: few have upstreams over TLS, and it takes memory. */
function loadTls(): typeof nodeTls {
  return createRequire(import.meta.url)('node:tls');
}
