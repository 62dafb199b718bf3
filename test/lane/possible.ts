/** Whether this machine's kernel takes the lane, for the `skip` of tests that need it: false, or the reason why not. */
import { release } from 'node:os';
import { tryLane } from '../../src/lane/try.js';
import { calls, skip } from '../os/loopback-sockets.js';

export const laneIsMissing: string | false = skip || (await reason());

async function reason(): Promise<string | false> {
  const { isPossible, sentence } = await tryLane({ calls }, release(), () => 0);
  return isPossible ? false : sentence;
}
