/** Keys and values of the lane's maps as user space writes them, besides slots and the index. */
import { addressBytes } from '../os/addresses.js';
import type { Endpoint } from '../os/network.js';
import { clientLayout, configLayout } from './layout.js';

/** A time that never comes. */
export const never = 2n ** 63n - 1n;

/** Of CLOCK_MONOTONIC, as the kernel reads it; Infinity never comes. */
export function nanoseconds(ms: number): bigint {
  return ms === Number.POSITIVE_INFINITY ? never : BigInt(Math.round(ms * 1_000_000));
}

/** The key of an element of an array. */
export function numberKey(number: number): Uint8Array {
  return new Uint8Array(Uint32Array.of(number).buffer);
}

/** A value of 64 bits: until when a client is known, a counter. */
export function longValue(value: bigint): Uint8Array {
  return new Uint8Array(BigUint64Array.of(value).buffer);
}

/** Until when a client is known. */
export function clientValue(untilNs: bigint): Uint8Array {
  const value = new Uint8Array(clientLayout.valueBytes);
  value.set(longValue(untilNs), clientLayout.until);
  return value;
}

/** A client at this interface. */
export function clientKey(interfaceIndex: number, address: string): Uint8Array {
  const key = new Uint8Array(clientLayout.keyBytes);
  key.set(numberKey(interfaceIndex), clientLayout.interfaceIndex);
  key.set(mappedAddress(address), clientLayout.address);
  return key;
}

interface LaneConfig {
  readonly heartbeatNs: bigint;
  readonly deadAfterNs: bigint;
  readonly inertFromNs: bigint;
  readonly seed: bigint;
  readonly generation: number;
  readonly digest: bigint;
  /** Where packets for us go, at most `lanePlacesMax`. */
  readonly places: readonly Endpoint[];
}

export function configValue(config: LaneConfig): Uint8Array {
  const bytes = new Uint8Array(configLayout.bytes);
  const view = new DataView(bytes.buffer);
  view.setBigUint64(configLayout.heartbeat, config.heartbeatNs, true);
  view.setBigUint64(configLayout.deadAfter, config.deadAfterNs, true);
  view.setBigUint64(configLayout.inertFrom, config.inertFromNs, true);
  view.setBigUint64(configLayout.seed, config.seed, true);
  view.setUint32(configLayout.generation, config.generation, true);
  view.setBigUint64(configLayout.digest, config.digest, true);
  for (const [index, { address, port }] of config.places.entries()) {
    const at = configLayout.places + configLayout.placeBytes * index;
    bytes.set(mappedAddress(address), at);
    view.setUint16(at + configLayout.placePort, port);
  }
  return bytes;
}

/** 16 bytes, an IPv4 address mapped. */
function mappedAddress(address: string): Uint8Array {
  const bytes = addressBytes(address);
  return bytes.length === 16 ? bytes : Uint8Array.of(0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, ...bytes);
}
