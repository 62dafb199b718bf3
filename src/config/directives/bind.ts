/** `bind ADDRESS|INTERFACE … { except ADDRESS|INTERFACE … }`: where a server block listens. */
import { canonicalAddress, readEndpoint } from '../addresses.js';
import {
  aboutPlaceholder,
  type DirectiveContext,
  eachOption,
  fail,
  warnOfMissingBrackets,
  words,
} from '../arguments.js';
import { eachOf } from '../config.js';
import type { Directive } from '../corefile.js';

const dnsPort = 53;

/** The addresses of all `bind` directives of one block, without duplicates. */
export function readBind(directives: readonly Directive[], context: DirectiveContext): readonly string[] {
  const addresses = new Set<string>();
  eachOf(directives, (directive) => {
    const given = addressesOf(directive, context);
    const excepted = new Set<string>();
    eachOption(directive, {
      except(option) {
        for (const address of addressesOf(option, context)) excepted.add(address);
      },
    });
    const left = given.filter((address) => !excepted.has(address));
    if (left.length === 0) fail(directive, 'no address is left to listen on; add an address, or shorten except.');
    for (const address of left) addresses.add(address);
  });
  return [...addresses];
}

function addressesOf(directive: Directive, context: DirectiveContext): string[] {
  return words(directive, 1, Number.POSITIVE_INFINITY, 'addresses or interface names').flatMap((token) => {
    const ofInterface = context.interfaceAddresses(token.text);
    if (ofInterface !== undefined) return [...ofInterface];
    const address = canonicalAddress(token.text);
    if (address === undefined) return fail(directive, notAnAddress(token.text), token.at);
    warnOfMissingBrackets(context, directive, { text: token.text, port: dnsPort });
    return [address];
  });
}

function notAnAddress(text: string): string {
  const wrong = `"${text}" is neither an IP address nor an interface of this host`;
  const meant = readEndpoint(text, 0);
  if (meant === undefined) return `${wrong}.${aboutPlaceholder(text)}`;
  const port = meant.port === 0 ? '' : `: the port belongs after the zone, as in ".:${meant.port}"`;
  return `${wrong}; write "bind ${meant.address}"${port}.`;
}
