/**
 * What an attacker could do while clients were told apart by a fold that everybody can compute: for any beginning of an
 * IPv6 address it gives the last word with which the address has the number that is wanted.
 */

const factor = 0x9e3779b1;
/** Multiplied by the factor it is 1, in 32 bits. */
const inverse = [1, 2, 3, 4, 5].reduce((number) => Math.imul(number, 2 - Math.imul(factor, number)), factor);

/** A step of that fold. */
export function fold(number: number, word: number): number {
  return Math.imul(number ^ word, factor) ^ (number >>> 15);
}

/** The words of a sockaddr_in6 whose address begins so and had this number. */
export function chosenAddress(head: readonly [number, number, number], number: number): readonly number[] {
  const before = head.reduce(fold, 0);
  return [10, 0, ...head, Math.imul(number ^ (before >>> 15), inverse) ^ before, 0];
}
