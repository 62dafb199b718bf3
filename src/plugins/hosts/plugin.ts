/**
 * `hosts [FILE [ZONE…]] { … }`: names and addresses as in /etc/hosts, from a file and from lines of the Corefile. The lines are
 * checked here, where errors have a line number; the file is read when the configuration is used.
 */
import { isIP } from 'node:net';
import { type Advised, coversAll, type Saying } from '../../config/advice.js';
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
} from '../../config/arguments.js';
import { eachOf } from '../../config/config.js';
import type { Directive } from '../../config/corefile.js';
import { settingsOf } from '../../config/plugins.js';
import { readName, readZones } from '../../config/zones.js';
import { gauge, groupByLabels, labelText, sample } from '../../observe/exposition.js';
import type { PluginAtWork } from '../../resolve/route.js';
import type { Plugin } from '../plugin.js';
import { hostsMaker } from './answer.js';
import { type HostsConfig, type HostsContent, type HostsFile, openHostsFile, readHostsFile } from './file.js';
import { type HostsTable, knowAlike } from './table.js';

const fileByDefault = '/etc/hosts';
const hostsTtlSecondsMax = 65_535;
const reloadMsLeast = 100;

type HostsDraft = { -readonly [Key in keyof HostsConfig]: HostsConfig[Key] };

export const hosts: Plugin<HostsConfig, HostsAtWork> = {
  name: 'hosts',
  repeats: 'refused',
  read: ([directive], context) => readHosts(directive, context),
  traits: (settings) => ({ makesAnswers: true, cachedBy: { hosts: settings } }),
  prepare: readHostsFile,
  start(settings, { deps, prepared, forget }) {
    const file = openHostsFile(settings, deps, prepared as HostsContent | undefined, forget);
    return {
      file,
      maker: hostsMaker(settings, () => file.content.table),
      prepared: () => file.content,
      differsFrom: (before) => differs((before as HostsAtWork).file.content.table, file.content.table),
      stop: file.stop,
    };
  },
  metrics: [
    // A file that several blocks name counts for the block that finds most of its names in its zones.
    gauge('coredns_hosts_entries', 'The combined number of entries in hosts and Corefile.', ({ atWork }) =>
      groupByLabels(atWork, ({ atWork: { file } }) => labelText({ hostsfile: file.file })).map(({ labels, members }) =>
        sample(labels, Math.max(...members.map(({ atWork: { file } }) => file.content.table.entries))),
      ),
    ),
    gauge('coredns_hosts_reload_timestamp_seconds', 'The timestamp of the last reload of hosts file.', ({ atWork }) =>
      atWork.length === 0
        ? []
        : [sample('', Math.max(...atWork.map(({ atWork: { file } }) => file.content.readAtMs)) / 1000)],
    ),
  ],
  advice: { 'hosts-without-fallthrough': hostsWithoutFallthrough },
};

interface HostsAtWork extends PluginAtWork {
  readonly file: HostsFile;
}

function differs(before: HostsTable, now: HostsTable): ((name: string) => boolean) | null {
  return before === now ? null : (name) => !knowAlike(before, now, name);
}

function readHosts(directive: Directive, context: DirectiveContext): HostsConfig {
  const [file, ...zones] = directive.arguments;
  const lines = directive.block ?? [];
  const entries = lines.filter(({ name }) => isAddress(name));
  const hosts: HostsDraft = {
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
        hosts.ttlSeconds = wholeNumber(option, seconds, 'the TTL', 1, hostsTtlSecondsMax);
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

/** An entry of the block as a line of a hosts file, its names normalised. */
function entryLine(entry: Directive): string {
  if (entry.arguments.length === 0) fail(entry, 'has no name; write ADDRESS, then one NAME or more.');
  if (entry.block !== null) fail(entry, 'takes no block; remove the { }.');
  return [entry.name, ...entry.arguments.map(({ text, at }) => readName(text, at, entry.path))].join(' ');
}

function isAddress(word: string): boolean {
  return isIP(word) !== 0;
}

/** For hosts that covers all names, reading the directive warns already. */
function hostsWithoutFallthrough({ config }: Advised): readonly Saying[] {
  const { forwards, zones } = config;
  const written = settingsOf(config, hosts);
  if (written === undefined || written.fallthrough !== null || forwards.length === 0) return [];
  if (!coversAll(written.zones, zones) || zones.some(({ zone }) => zone === '.')) return [];
  return [
    {
      at: written.at,
      message: 'hosts: without fallthrough, names that are not in it get SERVFAIL, and the forward is never used',
      remedy: 'add fallthrough to its block',
    },
  ];
}
