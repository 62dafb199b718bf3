/** `dns64 [PREFIX] { prefix PREFIX, translate_all, allow_ipv4 }`: addresses for networks that have IPv6 alone. */
import { eachOption, fail, listed, noBlock, noWords, oneWord, words } from '../arguments.js';
import type { Dns64Config } from '../config.js';
import type { Directive } from '../corefile.js';
import type { Token } from '../lexer.js';
import { type Network, readNetwork } from '../networks.js';

/** The lengths for which RFC 6052 2.2 says where the IPv4 address goes. */
const prefixBits = [32, 40, 48, 56, 64, 96];
const wellKnown = '64:ff9b::/96';

export function readDns64(directive: Directive): Dns64Config {
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

function readPrefix(directive: Directive, { text, at }: Token): Network {
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
