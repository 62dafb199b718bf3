/**
 * TLS connections to servers (DNS over TLS, RFC 7858), the one user of node:tls. A server's session is kept, so that
 * the next connection costs no full handshake (RFC 8446 2.2); who takes up a session does not look at certificates
 * again, so it is kept with the settings by which they were looked at, and is forgotten with them. What goes over the
 * connection is not known here.
 */
import { createRequire } from 'node:module';
import type * as nodeTls from 'node:tls';
import type { Endpoint, TlsSettings } from './network.js';

/** Sessions kept for one forward's settings, one for each server. */
const sessionsMax = 256;

/** Opens connections and remembers sessions. Settings are told apart as objects: what a reload reads again is new. */
export type ConnectTls = (to: Endpoint, settings: TlsSettings, sourceAddress: string | undefined) => nodeTls.TLSSocket;

/** What is made of settings once. */
interface Known {
  readonly secureContext: nodeTls.SecureContext;
  readonly sessions: Map<string, Buffer>;
}

/** The certificate must be valid for `serverName`, or for the address where there is none. */
export function tlsConnector(): ConnectTls {
  const known = new WeakMap<TlsSettings, Known>();
  return (to, settings, sourceAddress) => {
    const { secureContext, sessions } = known.get(settings) ?? {
      secureContext: contextOf(settings),
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

/** Why no connection can be made with these PEM texts, in OpenSSL's words; null when one can. */
export function whyUnusable(material: Omit<TlsSettings, 'serverName'>): string | null {
  try {
    contextOf(material);
    return null;
  } catch (error) {
    return (error as Error).message;
  }
}

function contextOf({ ca, certificate, key }: Omit<TlsSettings, 'serverName'>): nodeTls.SecureContext {
  return loadTls().createSecureContext({
    minVersion: 'TLSv1.2',
    ...(ca === null ? {} : { ca }),
    ...(certificate === null || key === null ? {} : { cert: certificate, key }),
  });
}

/** By the first connection: few have upstreams over TLS, and it takes memory. */
function loadTls(): typeof nodeTls {
  return createRequire(import.meta.url)('node:tls');
}
