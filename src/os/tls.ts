/**
 * TLS connections to servers (DNS over TLS, RFC 7858); the only user of node:tls. Sessions are kept to save full
 * handshakes (RFC 8446 2.2). A resumed session skips the certificate check, so it belongs to the settings it was
 * checked with. Our key, once read, is in OpenSSL's memory only.
 */
import { createHmac, generateKeySync, type KeyObject } from 'node:crypto';
import { createRequire } from 'node:module';
import type * as nodeTls from 'node:tls';
import type { Endpoint, TlsMaterial, TlsSettings } from './network.js';

const minVersion = 'TLSv1.2';

/** Per forward; one for each server. */
const sessionsMax = 256;

/** Remembers sessions per settings object: a reload makes new ones. */
type ConnectTls = (to: Endpoint, settings: TlsSettings, sourceAddress: string | undefined) => nodeTls.TLSSocket;

/** PEM files; certificate and key come together. */
export interface PemBytes {
  readonly ca: Buffer | null;
  readonly certificate: Buffer | null;
  readonly key: Buffer | null;
}

interface KnownMaterial {
  readonly secureContext: nodeTls.SecureContext;
  readonly sessions: Map<string, Buffer>;
}

/** Apart from the material, so that it cannot be copied, frozen or printed with a configuration. */
const contexts = new WeakMap<TlsMaterial, nodeTls.SecureContext>();

/** The key of this process's digests; a KeyObject, so that the heap does not hold it. */
let digestKey: KeyObject | null = null;

/** Borrows the bytes, which may be overwritten afterwards: JavaScript keeps no copy. Throws OpenSSL's error. */
export function newTlsMaterial({ ca, certificate, key }: PemBytes): TlsMaterial {
  const secureContext = loadTls().createSecureContext({
    minVersion,
    ...(ca === null ? {} : { ca }),
    ...(certificate === null || key === null ? {} : { cert: certificate, key }),
  });
  const material = {
    digest: [ca, certificate, key].map((bytes) => (bytes === null ? '-' : materialDigest(bytes))).join(' '),
  };
  contexts.set(material, secureContext);
  return material;
}

/** Keyed, so that a digest does not reveal whether the file had a certain key. */
function materialDigest(bytes: Buffer): string {
  digestKey ??= generateKeySync('hmac', { length: 256 });
  return createHmac('sha256', digestKey).update(bytes).digest('hex');
}

/** The certificate must be valid for `serverName`, by default for the address. */
export function tlsConnector(): ConnectTls {
  const known = new WeakMap<TlsSettings, KnownMaterial>();
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
    // A session that failed is not offered again.
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

/** On first use, because it takes memory and few have upstreams over TLS. */
function loadTls(): typeof nodeTls {
  return createRequire(import.meta.url)('node:tls');
}
