/**
 * `local`: names of this machine, as CoreDNS's `local` answers them, before the cache and every policy: localhost and names
 * below or before it are 127.0.0.1 and ::1, 127.0.0.1 is localhost, and the rest of those reverse zones is empty.
 */

import { eachOption, noWords, oneOf, oneWord } from '../../config/arguments.js';
import { seeLocal, seeLocalPrefix } from '../../config/config.js';
import type { Directive } from '../../config/corefile.js';
import { type Counters, newAnswerer } from '../../counters.js';
import { isInZone, typeName } from '../../dns/names.js';
import { askedBy } from '../../dns/query.js';
import { encodeAnswerTo, parseRecord } from '../../dns/records.js';
import { classIn, rcodeNoError, rcodeNxDomain } from '../../dns/wire.js';
import type { Log } from '../../os/log.js';
import type { Guard } from '../../resolve/route.js';
import type { Plugin } from '../plugin.js';

export const byLocal = newAnswerer('local');

/** A week, CoreDNS's TTL: these names never change. */
const localTtlSeconds = 604_800;
const loopback = '1.0.0.127.in-addr.arpa.';
const zones = ['localhost.', '0.in-addr.arpa.', '127.in-addr.arpa.', '255.in-addr.arpa.'];

/** `localhost_prefix`: names that only begin with the label `localhost`, which search paths make, are answered too. */
interface LocalConfig {
  readonly takesPrefix: boolean;
}

export const local: Plugin<LocalConfig> = {
  name: 'local',
  repeats: 'last',
  read: ([directive]) => readLocal(directive),
  traits: ({ takesPrefix }) => ({
    judges: true,
    makesAnswers: true,
    sees: takesPrefix ? seeLocal | seeLocalPrefix : seeLocal,
  }),
  start: (settings, { deps }) => ({ guard: localGuard(settings, deps) }),
};

function readLocal(directive: Directive): LocalConfig {
  noWords(directive);
  let takesPrefix = true;
  eachOption(directive, {
    localhost_prefix(option) {
      takesPrefix = oneOf(option, oneWord(option, 'on or off'), 'it', ['on', 'off']) === 'on';
    },
  });
  return { takesPrefix };
}

interface LocalDeps {
  readonly counters: Counters;
  readonly log: Log;
}

type Data = Readonly<Record<string, string>>;

const addresses: Data = { A: '127.0.0.1', AAAA: '::1' };
const localSoa = `localhost. root.localhost. 1 0 0 0 ${localTtlSeconds}`;
const apex: Data = { NS: 'localhost.', SOA: localSoa };
const noData: Data = {};

/** Answers these names; counts and logs those below `localhost.` or beginning with it. */
function localGuard({ takesPrefix }: LocalConfig, { counters, log }: LocalDeps): Guard {
  return (query) => {
    const { name, type, class: questionClass } = askedBy(query.question);
    if (questionClass !== classIn) return { kind: 'pass' };
    const zone = zones.find((each) => isInZone(name, each));
    const isPrefixed = takesPrefix && zone === undefined && name.startsWith('localhost.');
    if (zone === undefined && !isPrefixed) return { kind: 'pass' };
    const isBelow = isPrefixed || (zone === 'localhost.' && name !== zone);
    if (isBelow) {
      counters.count('localhostRequests');
      log.debug(`local: ${name} ${typeName(type)} queried by ${query.remote}`);
    }
    const data = isBelow ? addresses : zoneData(name, zone!);
    const word = typeName(type);
    const owner = isBelow ? name : zone!;
    const known = data !== null && Object.hasOwn(data, word);
    const message = encodeAnswerTo(query, {
      authoritative: false,
      rcode: data === null ? rcodeNxDomain : rcodeNoError,
      answer: known ? [parseRecord(`${name} ${localTtlSeconds} IN ${word} ${data[word]}`)] : [],
      authority: known ? [] : [parseRecord(`${owner} ${localTtlSeconds} IN SOA ${localSoa}`)],
      additional: [],
    });
    return { kind: 'message', message, by: byLocal };
  };
}

/** The records of a zone's name by type; null: the name does not exist. */
function zoneData(name: string, zone: string): Data | null {
  if (name === 'localhost.') return { ...addresses, ...apex };
  if (name === zone) return apex;
  if (name === loopback) return { PTR: 'localhost.' };
  // The names between zone and record exist without data (RFC 8020 2).
  return isInZone(loopback, name) ? noData : null;
}
