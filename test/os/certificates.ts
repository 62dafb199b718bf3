/**
 * Certificates as openssl makes them, in a folder of the test's own: a CA, and what it signs for a name and an address.
 * Keys are of elliptic curves, which are quick to make.
 */
import { execFileSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

const newKey = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-sha256'];

export interface Issued {
  /** Paths of PEM files. */
  readonly certificate: string;
  readonly key: string;
}

export interface Authority extends Issued {
  /** A key, and a certificate for it that this authority signs. */
  issue(name: string, address?: string): Issued;
}

/** A CA of this name, with files that bear it. */
export function newAuthority(folder: string, name: string): Authority {
  const own = pathsOf(folder, name);
  openssl('req', '-x509', ...newKey, '-days', '2', '-subj', `/CN=${name}`, '-keyout', own.key, '-out', own.certificate);
  return {
    ...own,
    issue(host, address = '127.0.0.1') {
      const issued = pathsOf(folder, `${name}-${host}`);
      const [request, extensions] = [join(folder, 'request.csr'), join(folder, 'extensions.cnf')];
      writeFileSync(extensions, `subjectAltName=DNS:${host},IP:${address}\n`);
      openssl('req', ...newKey, '-subj', `/CN=${host}`, '-keyout', issued.key, '-out', request);
      const by = ['-CA', own.certificate, '-CAkey', own.key, '-CAcreateserial', '-days', '2', '-extfile', extensions];
      openssl('x509', '-req', '-in', request, ...by, '-out', issued.certificate);
      return issued;
    },
  };
}

/** The texts of files. */
export function textsOf(...files: readonly string[]): string[] {
  return files.map((file) => readFileSync(file, 'utf8'));
}

/** Their bytes, each time others. */
export function bytesOf(...files: readonly string[]): Buffer[] {
  return files.map((file) => readFileSync(file));
}

/** What openssl prints. */
export function openssl(...words: readonly string[]): string {
  return execFileSync('openssl', words, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] });
}

function pathsOf(folder: string, name: string): Issued {
  return { certificate: join(folder, `${name}.pem`), key: join(folder, `${name}.key`) };
}
