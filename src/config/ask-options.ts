/**
 * What commands ask the running zerohop, how they reach it, and how they report. Names and types are checked here, before
 * anything is asked.
 */
import { endsInDot, lowerCaseName, nameToWire, typeName, typeNumber, wireToName } from '../dns/names.js';
import { searchDomainsMax } from '../limits.js';
import { type ReadFlags, UsageError } from './flag-reader.js';
import { readChoice, readUnixPath, reportOutputs } from './serve-options.js';

/** For every command that asks the running zerohop. */
export interface AskOptions {
  readonly controlPath: string;
  readonly output: (typeof reportOutputs)[number];
}

/** Names are in lower case and end in a dot, unless they say otherwise. */
export type RunningQuestion =
  | { readonly command: 'status' }
  | { readonly command: 'lookup'; readonly name: string; readonly type: string; readonly isAsked: boolean }
  /** `name` ends in a dot only if the pod writes one. */
  | {
      readonly command: 'explain';
      readonly name: string;
      readonly search: readonly string[];
      readonly ndots: number;
    }
  | { readonly command: 'flush'; readonly name: string }
  | { readonly command: 'flush'; readonly zone: string };

export function askOptions(flags: ReadFlags): AskOptions {
  const controlPath = readUnixPath(flags, 'control');
  if (controlPath === null) throw new UsageError('-control is empty; write the path of the running zerohop’s socket.');
  return { controlPath, output: readChoice('output', flags.text('output'), reportOutputs) };
}

/** In lower case, with the closing dot. */
export function readQuestionName(text: string): string {
  try {
    return lowerCaseName(wireToName(nameToWire(text), 0));
  } catch {
    throw new UsageError(`"${text}" is not a domain name; write one such as www.example.com.`);
  }
}

/** `A`, `TYPE65`. */
export function readQuestionType(text: string): string {
  const type = typeNumber(text);
  if (type !== undefined) return typeName(type);
  throw new UsageError(`"${text}" is not a record type; write one such as A, AAAA, SRV or TYPE65.`);
}

/** What Kubernetes writes for pods of the namespace default, where nobody has changed the cluster's domain. */
const searchOfDefault = 'default.svc.cluster.local,svc.cluster.local,cluster.local';

/** The question of `zerohop explain`. */
export function readWalk(name: string, flags: ReadFlags): RunningQuestion {
  const written = flags.text('search') || searchOfDefault;
  const search = written.split(/[\s,]+/u).filter((domain) => domain !== '');
  if (search.length > searchDomainsMax) {
    throw new UsageError(`-search has ${search.length} domains; a pod has at most ${searchDomainsMax}.`);
  }
  const closed = readQuestionName(name);
  return {
    command: 'explain',
    name: endsInDot(name) ? closed : closed.slice(0, -1),
    search: search.map(readQuestionName),
    ndots: readNdots(flags.text('ndots')),
  };
}

/** As glibc, which takes more than 15 for 15. */
function readNdots(text: string): number {
  if (/^\d{1,2}$/u.test(text) && Number(text) <= 15) return Number(text);
  throw new UsageError(`-ndots "${text}" is not a number of dots; write 0 to 15.`);
}

/** The question of `zerohop flush`: one name, or `-zone`. */
export function readFlush(words: readonly string[], flags: ReadFlags): RunningQuestion {
  const [name] = words;
  const zone = flags.text('zone');
  if (name !== undefined && zone === '') return { command: 'flush', name: readQuestionName(name) };
  if (name === undefined && zone !== '') return { command: 'flush', zone: readQuestionName(zone) };
  const what = name === undefined ? 'needs a name or a zone' : 'takes a name or a zone, not both';
  throw new UsageError(`"zerohop flush" ${what}; write zerohop flush NAME, or zerohop flush -zone ZONE.`);
}
