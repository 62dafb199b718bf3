/**
 * TLS connections to servers (DNS over TLS, RFC 7858), the one user of node:tls. A server's session is kept, so that
 * the next connection costs no full handshake (RFC 8446 2.2). What goes over the connection is not known here.
 */
import { createRequire } from 'node:module';
import type * as nodeTls from 'node:tls';
import type { Endpoint, TlsSettings } from './network.js';

/** Sessions kept, one for each server and name, and whether it has proved who it is. */
const sessionsMax = 256;

/** Opens connections and remembers sessions. */
export type ConnectTls = (to: Endpoint, settings: TlsSettings, sourceAddress: string | undefined) => nodeTls.TLSSocket;

/** The certificate must be valid for `serverName`, or for the address where there is none. */
export function tlsConnector(): ConnectTls {
  const sessions = new Map<string, Buffer>();
  // Loaded by the first connection: few have upstreams over TLS, and it takes memory.
  const load = (): typeof nodeTls => createRequire(import.meta.url)('node:tls');
  return (to, { serverName, ca, certificate, key, isVerified = true }, sourceAddress) => {
    const id = `${to.address} ${to.port} ${serverName ?? ''} ${isVerified}`;
    const session = sessions.get(id);
    const socket = load().connect({
      host: to.address,
      port: to.port,
      ALPNProtocols: ['dot'],
      minVersion: 'TLSv1.2',
      rejectUnauthorized: isVerified,
      ...(serverName === null ? {} : { servername: serverName }),
      ...(ca === null ? {} : { ca }),
      ...(certificate === null || key === null ? {} : { cert: certificate, key }),
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
