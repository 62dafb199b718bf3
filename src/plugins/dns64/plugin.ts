/** `dns64 [PREFIX] { prefix PREFIX, translate_all, allow_ipv4 }`: AAAA records for networks without IPv4. */

import { type IpNetwork, readNetwork } from '../../config/addresses.js';
import {
  type DirectiveContext,
  eachOption,
  fail,
  listed,
  noBlock,
  noWords,
  oneWord,
  words,
} from '../../config/arguments.js';
import { type BlockConfig, ConfigError } from '../../config/config.js';
import type { Directive } from '../../config/corefile.js';
import type { Token } from '../../config/lexer.js';
import { zonePlaces } from '../../counters.js';
import { counter, labelText, sumsOf } from '../../observe/exposition.js';
import type { Plugin } from '../plugin.js';
import { type Dns64Config, translatedRoute } from './translate.js';

/** The prefix lengths of RFC 6052 2.2. */
const prefixBits = [32, 40, 48, 56, 64, 96];
const wellKnown = '64:ff9b::/96';

export const dns64: Plugin<Dns64Config> = {
  name: 'dns64',
  repeats: 'last',
  read: ([directive]) => readDns64(directive),
  traits: ({ prefix, translatesAll, forIpv4 }, { aaaa }) => {
    if (aaaa !== null && aaaa !== 'forward') return { asksOtherNames: true };
    const key = `dns64 ${prefix.bytes.join('.')}/${prefix.prefixBits}${translatesAll ? ' all' : ''}`;
    return { asksOtherNames: true, translation: { key, forIpv4 } };
  },
  check: checkTranslation,
  start: (settings) => ({
    translate: (route, within, normaliser) => translatedRoute(route, settings, within, normaliser),
  }),
  metrics: [
    counter('coredns_dns64_requests_translated_total', 'Counter of DNS requests translated by dns64.', ({ served }) => {
      const counts = served.map((zone) => ({ server: zone.first.server, count: zone.at(zonePlaces.translated) }));
      return sumsOf(
        counts.filter(({ count }) => count > 0),
        ({ server }) => labelText({ server }),
      );
    }),
  ],
};

/** The AAAA policy leaves nothing to translate: with NXDOMAIN dns64 would never act, in CoreDNS too. */
function checkTranslation({ at }: Dns64Config, { aaaa, aaaaAt }: BlockConfig, context: DirectiveContext): void {
  if (aaaa === null || aaaa === 'forward') return;
  const why = `AAAA queries get "${aaaa}" from line ${aaaaAt!.line}`;
  if (aaaa === 'nxdomain') return context.warn(at, `dns64: has no effect: ${why}; remove one of the two.`);
  throw new ConfigError(at, `dns64: ${why}; remove that: dns64 queries AAAA, and synthesizes it from A.`);
}

function readDns64(directive: Directive): Dns64Config {
  const [written] = words(directive, 0, 1, 'a prefix or nothing');
  let prefix = written === undefined ? readNetwork(wellKnown)! : readPrefix(directive, written);
  let translatesAll = false;
  let forIpv4 = false;
  eachOption(directive, {
    prefix(option) {
      noBlock(option);
      prefix = readPrefix(option, oneWord(option, 'a prefix'));
    },
    translate_all(option) {
      noWords(option);
      translatesAll = true;
    },
    allow_ipv4(option) {
      noWords(option);
      forIpv4 = true;
    },
  });
  return { at: directive.at, prefix, translatesAll, forIpv4 };
}

function readPrefix(directive: Directive, { text, at }: Token): IpNetwork {
  const network = readNetwork(text);
  if (network === undefined || network.bytes.length !== 16) {
    return fail(directive, `"${text}" is not an IPv6 prefix; write one like ${wellKnown}.`, at);
  }
  if (!prefixBits.includes(network.prefixBits)) {
    const lengths = listed(prefixBits.map((bits) => `/${bits}`));
    return fail(directive, `a prefix must be ${lengths} (RFC 6052 2.2), not /${network.prefixBits}.`, at);
  }
  return network;
}
