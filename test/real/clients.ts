/**
 * Real clients, each told in its own language to ask one question once, and their printed answers read into one
 * shape. dig, kdig and drill print alike enough for one reader; the C libraries are asked through a program of ours
 * (getaddrinfo.c), getent and BusyBox's nslookup.
 */
import { join } from 'node:path';
import { repositoryPath } from '../corpus/repository.js';
import { localAddress, type Node } from './cluster-node.js';
import { output, run } from './commands.js';

export interface Question {
  readonly name: string;
  readonly type: string;
  /** `udp` is without EDNS, `edns` over UDP with a size of 1232, `tcp` without EDNS. */
  readonly over: 'udp' | 'edns' | 'tcp';
}

export interface Answer {
  readonly rcode: string;
  /** Lower-case words: qr, aa, tc, rd, ra. */
  readonly flags: readonly string[];
  /** The question's name as it came back. */
  readonly asked: string;
  readonly answer: readonly PrintedRecord[];
  readonly authority: readonly PrintedRecord[];
}

export interface PrintedRecord {
  readonly owner: string;
  readonly ttlSeconds: number;
  readonly type: string;
  readonly data: string;
}

export const queryPrograms = ['dig', 'kdig', 'drill'] as const;
export type QueryProgram = (typeof queryPrograms)[number];

const commandLines: Readonly<Record<QueryProgram, (question: Question, server: string) => string[]>> = {
  dig: ({ name, type, over }, server) => {
    const how = { udp: ['+noedns'], edns: ['+bufsize=1232'], tcp: ['+tcp', '+noedns'] }[over];
    return ['dig', '-r', '+tries=1', '+time=5', '+ignore', '+nocookie', ...how, `@${server}`, name, type];
  },
  kdig: ({ name, type, over }, server) => {
    const how = { udp: ['+noedns'], edns: ['+edns', '+bufsize=1232'], tcp: ['+tcp', '+noedns'] }[over];
    return ['kdig', '+retry=0', '+time=5', '+ignore', ...how, `@${server}`, name, type];
  },
  drill: ({ name, type, over }, server) => {
    const how = { udp: [], edns: ['-b', '1232'], tcp: ['-t'] }[over];
    return ['drill', ...how, `@${server}`, name, type];
  },
};

/** Asks inside the node, if nothing else is said at the node-local address; throws when the client got no answer. */
export async function ask(
  node: Node,
  program: QueryProgram,
  question: Question,
  server = localAddress,
): Promise<Answer> {
  const { stdout, stderr } = await run(node.command(...commandLines[program](question, server)));
  const answer = readPrinted(stdout);
  if (answer === undefined) throw new Error(`${program} ${question.name} ${question.type}: ${stdout}${stderr}`);
  return answer;
}

/** What dig, kdig or drill printed; undefined without a header. */
export function readPrinted(text: string): Answer | undefined {
  const rcode = /HEADER.*(?:status|rcode): (\w+)/.exec(text)?.[1];
  if (rcode === undefined) return undefined;
  const flags = /^;; flags:? ([a-z ]*)/im.exec(text)?.[1] ?? '';
  return {
    rcode,
    flags: flags.trim().split(/\s+/),
    asked: /QUESTION SECTION:\n;+\s*(\S+)/.exec(text)?.[1] ?? '',
    answer: section(text, 'ANSWER'),
    authority: section(text, 'AUTHORITY'),
  };
}

function section(text: string, name: string): PrintedRecord[] {
  const lines = new RegExp(`^;; ${name} SECTION:\\n((?:[^;\\n].*\\n)*)`, 'm').exec(text)?.[1] ?? '';
  const records = lines.split('\n').filter(Boolean);
  return records.map((line) => {
    const [owner, ttl, , type, ...data] = line.split(/\s+/);
    return { owner, ttlSeconds: Number(ttl), type, data: data.join(' ').trim() };
  });
}

/** The data of a section's records, sorted. */
export function dataOf(records: readonly PrintedRecord[]): string[] {
  return records.map((record) => record.data).sort();
}

export const libraries = ['glibc', 'musl'] as const;
export type Library = (typeof libraries)[number];
export type AddressFamily = 'unspec' | 'inet' | 'inet6';

/** The programs of getaddrinfo.c, one per C library, in the node's folder. */
export async function compileResolvers(node: Node): Promise<Readonly<Record<Library, string>>> {
  const source = repositoryPath('test', 'real', 'getaddrinfo.c');
  const programs = { glibc: join(node.folder, 'resolve-glibc'), musl: join(node.folder, 'resolve-musl') };
  await Promise.all([
    output(['gcc', '-O1', '-Wall', '-Werror', '-o', programs.glibc, source]),
    output(['musl-gcc', '-static', '-O1', '-Wall', '-Werror', '-o', programs.musl, source]),
  ]);
  return programs;
}

/** What getaddrinfo says for one name: addresses (sorted), or `error EAI_…`. */
export async function getaddrinfo(node: Node, program: string, family: AddressFamily, name: string): Promise<string[]> {
  const line = await output(node.command(program, family, name), 30_000);
  const words = line.trim().split(' ').slice(1);
  return words[0] === 'error' ? [words.join(' ')] : words.sort();
}

/** `getent ahostsv4|ahostsv6|hosts NAME`: the addresses, sorted, each once; empty when it found nothing. */
export async function getent(node: Node, database: string, name: string): Promise<string[]> {
  const { stdout } = await run(node.command('getent', database, name));
  return [
    ...new Set(
      stdout
        .split('\n')
        .filter(Boolean)
        .map((line) => line.split(/\s+/)[0]),
    ),
  ].sort();
}

/** BusyBox nslookup: its exit code and the addresses it found for the name. */
export async function busyboxNslookup(node: Node, name: string): Promise<{ status: number; addresses: string[] }> {
  const { status, stdout } = await run(node.command('busybox', 'nslookup', name), 30_000);
  const found = stdout.slice(stdout.indexOf('\n\n'));
  return { status, addresses: [...found.matchAll(/^Address(?: \d+)?: (\S+)/gm)].map(([, address]) => address).sort() };
}
