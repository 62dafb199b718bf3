/**
 * `hosts [FILE [ZONE…]] { … }`: names and addresses as in /etc/hosts, from a file and from lines of the Corefile. The
 * lines are checked here, where they have a place to be named; the file is read when the configuration is used.
 */
import { isIP } from 'node:net';
import {
  type DirectiveContext,
  durationMs,
  eachOption,
  fail,
  noWords,
  oneWord,
  warn,
  warnOfForeignZones,
  wholeNumber,
} from '../arguments.js';
import { eachOf, type HostsConfig } from '../config.js';
import type { Directive } from '../corefile.js';
import { readName, readZones } from '../zones.js';

const fileByDefault = '/etc/hosts';
const ttlSecondsMax = 65_535;
const reloadMsLeast = 100;

type Draft = { -readonly [Key in keyof HostsConfig]: HostsConfig[Key] };

export function readHosts(directive: Directive, context: DirectiveContext): HostsConfig {
  const [file, ...zones] = directive.arguments;
  const lines = directive.block ?? [];
  const entries = lines.filter(({ name }) => isAddress(name));
  const hosts: Draft = {
    at: directive.at,
    file: file?.text ?? fileByDefault,
    zones: zones.length === 0 ? context.zones : zones.flatMap((token) => readZones(token, directive.path)),
    inline: eachOf(entries, entryLine).join('\n'),
    ttlSeconds: 3600,
    reverse: true,
    reloadMs: 5_000,
    fallthrough: null,
    fallthroughUnsupported: false,
  };
  warnOfForeignZones(context, directive, zones.length === 0 ? [] : hosts.zones);
  eachOption(
    { ...directive, block: lines.filter((line) => !entries.includes(line)) },
    {
      ttl(option) {
        const seconds = oneWord(option, 'a number of seconds');
        hosts.ttlSeconds = wholeNumber(option, seconds, 'the TTL', 1, ttlSecondsMax);
      },
      no_reverse(option) {
        noWords(option);
        hosts.reverse = false;
      },
      reload(option) {
        const word = oneWord(option, 'a duration, or 0 for never');
        hosts.reloadMs = durationMs(option, word, 'the reload interval');
        if (hosts.reloadMs !== 0 && hosts.reloadMs < reloadMsLeast) {
          fail(option, `"${word.text}" is too short; write 100ms or more, or 0 for never.`, word.at);
        }
      },
      fallthrough(option) {
        hosts.fallthrough = option.arguments.flatMap((token) => readZones(token, option.path));
      },
      fallthrough_unsupported(option) {
        noWords(option);
        hosts.fallthroughUnsupported = true;
      },
    },
  );
  if (hosts.fallthroughUnsupported && hosts.fallthrough === null) {
    fail(directive, 'fallthrough_unsupported extends fallthrough; add fallthrough.');
  }
  if (hosts.fallthrough === null && context.zones.includes('.') && hosts.zones.includes('.')) {
    warn(context, directive, 'without fallthrough, names that are not in it get SERVFAIL; add fallthrough.');
  }
  return hosts;
}

/** An entry of the block as a line of a hosts file, its names in their one spelling. */
function entryLine(entry: Directive): string {
  if (entry.arguments.length === 0) fail(entry, 'has no name; write ADDRESS NAME…');
  if (entry.block !== null) fail(entry, 'takes no block; remove the { }.');
  return [entry.name, ...entry.arguments.map(({ text, at }) => readName(text, at, entry.path))].join(' ');
}

function isAddress(word: string): boolean {
  return isIP(word) !== 0;
}
