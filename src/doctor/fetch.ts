/**
 * One HTTP GET for the doctor, for what CoreDNS and kube-proxy publish: HTTP/1.0 without compression, so the body ends
 * where the connection does. No redirects, no TLS.
 */
import { splitHostPort } from '../config/addresses.js';
import type { Clock } from '../os/clock.js';
import type { Network } from '../os/network.js';
import type { FetchText } from './check.js';
import { patience } from './probe.js';

/** `http://HOST:PORT/PATH`, with an address as the host. */
export function fetchOver(network: Network, clock: Clock): FetchText {
  return (url, { timeoutMs, bytesMax }) =>
    new Promise((resolve) => {
      const [, authority = '', path = '/'] = /^http:\/\/([^/]+)(\/.*)?$/u.exec(url) ?? [];
      const at = splitHostPort(authority);
      if (at === undefined) {
        resolve(null);
        return;
      }
      const chunks: Buffer[] = [];
      let bytes = 0;
      const timer = patience(clock, timeoutMs, () => done(null));
      const stream = network.connectStream(
        { address: at.host, port: Number(at.port) },
        {
          opened() {
            const lines = [`GET ${path} HTTP/1.0`, `Host: ${authority}`, 'Accept: text/plain', 'Connection: close'];
            stream.write(Buffer.from(`${lines.join('\r\n')}\r\n\r\n`, 'latin1'));
          },
          data(received) {
            chunks.push(Buffer.from(received));
            bytes += received.length;
            if (bytes > bytesMax) done(httpAnswer(chunks, bytesMax));
          },
          ended: () => done(httpAnswer(chunks, bytesMax)),
          closed: (error) => done(error === undefined ? httpAnswer(chunks, bytesMax) : null),
        },
      );

      function done(answer: Awaited<ReturnType<FetchText>>): void {
        timer.stop();
        stream.destroy();
        resolve(answer);
      }
    });
}

/** Null without a complete head of an HTTP response. */
function httpAnswer(chunks: readonly Buffer[], bytesMax: number): Awaited<ReturnType<FetchText>> {
  const text = Buffer.concat(chunks).toString('utf8');
  const headEnd = text.indexOf('\r\n\r\n');
  const [, status] = /^HTTP\/1\.[01] (\d{3})[ \r]/u.exec(text) ?? [];
  if (headEnd === -1 || status === undefined) return null;
  return { status: Number(status), body: text.slice(headEnd + 4, headEnd + 4 + bytesMax) };
}
