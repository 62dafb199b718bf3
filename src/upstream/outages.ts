/**
 * Which addresses count as down, over all forwards of all server blocks and over reloads: several forwards may name one
 * address, each finds out for itself, and the log is to say it once. Numbers of forwards by address, no more.
 */
export class Outages {
  readonly #forwardsOf = new Map<string, number>();

  /** For one more forward it is down. True when it is the first. */
  began(to: string): boolean {
    const forwards = this.#forwardsOf.get(to) ?? 0;
    this.#forwardsOf.set(to, forwards + 1);
    return forwards === 0;
  }

  /** For one of those it is down no more. True when that was the last. */
  ended(to: string): boolean {
    const left = this.#forwardsOf.get(to)! - 1;
    if (left > 0) this.#forwardsOf.set(to, left);
    else this.#forwardsOf.delete(to);
    return left === 0;
  }
}
