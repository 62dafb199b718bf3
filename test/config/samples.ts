/**
 * The Corefiles of corefiles/: each has the directives and options of one public deployment, and says in comments at
 * its top which, what `zerohop check` warns of, and what some questions get:
 *
 *     # deployment: WHERE IT IS USED
 *     # file: PATH: TEXT, with \n for the end of a line     (what the Corefile reads)
 *     # warns: CODE CODE                                    (in this order; without the line it is silent)
 *     # asks: NAME TYPE [at ADDRESS[:PORT]] gets RCODE [DATA]
 */
import { readdirSync, readFileSync } from 'node:fs';
import { readEndpoint } from '../../src/config/addresses.js';
import type { Endpoint } from '../../src/os/network.js';
import { repositoryPath } from '../corpus/repository.js';

export interface Asked {
  readonly name: string;
  readonly type: string;
  /** Null: wherever the name's zone is served. */
  readonly at: Endpoint | null;
  readonly rcode: string;
  /** Of the answer's records, in their order; empty where there are none, or none is named. */
  readonly data: readonly string[];
}

export interface Sample {
  readonly name: string;
  /** From the repository's root. */
  readonly path: string;
  readonly text: string;
  readonly deployment: string;
  readonly files: Readonly<Record<string, string>>;
  readonly warns: readonly string[];
  readonly asks: readonly Asked[];
}

const folder = 'test/config/corefiles';

export const samples: readonly Sample[] = readdirSync(repositoryPath(folder))
  .sort()
  .map((file) => readSample(file.replace('.corefile', ''), `${folder}/${file}`));

function readSample(name: string, path: string): Sample {
  const text = readFileSync(repositoryPath(path), 'utf8');
  const said = (what: string): string[] =>
    [...text.matchAll(new RegExp(`^# ${what}: (.*)$`, 'gmu'))].map(([, value]) => value);
  return {
    name,
    path,
    text,
    deployment: said('deployment')[0],
    files: Object.fromEntries(said('file').map(readFile)),
    warns: said('warns').flatMap((codes) => codes.split(' ')),
    asks: said('asks').map(readAsked),
  };
}

function readFile(line: string): [path: string, text: string] {
  const [, path, text] = /^(\S+): (.*)$/u.exec(line) ?? [];
  return [path, text.replaceAll('\\n', '\n')];
}

function readAsked(line: string): Asked {
  const [, name, type, at, rcode, data] = /^(\S+) (\S+)(?: at (\S+))? gets (\S+)(?: (.*))?$/u.exec(line) ?? [];
  return { name, type, at: (at && readEndpoint(at, 53)) || null, rcode, data: data?.split(' ') ?? [] };
}
