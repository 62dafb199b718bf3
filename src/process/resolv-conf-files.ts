/**
 * The resolv.conf files that `forward` names, read through the one door for files. A change of what is in them is a
 * line in the log, once.
 */
import { chooseServers } from '../config/resolv-conf.js';
import type { Log } from '../os/log.js';
import type { Endpoint } from '../os/network.js';

export interface ResolvConfFiles {
  /** The servers to ask by this file, or why there are none; we serve port 53 on `ownAddresses`. */
  read(path: string, ownAddresses: readonly string[]): readonly Endpoint[] | { readonly error: string };
}

export function newResolvConfFiles(readFile: (path: string) => string | undefined, log: Log): ResolvConfFiles {
  const said = new Map<string, string>();
  function say(path: string, text: string, level: 'info' | 'error'): void {
    if (said.get(path) === text) return;
    said.set(path, text);
    log[level](text);
  }
  return {
    read(path, ownAddresses) {
      const choice = chooseServers({ path, read: readFile, ownAddresses });
      if (!choice.ok) {
        say(path, choice.why, 'error');
        return { error: choice.why };
      }
      const servers = choice.servers.map(({ address }) => address).join(', ');
      const from = choice.path === path ? path : `${choice.path}, because ${path} lists only this server`;
      say(path, `upstreams ${servers} from ${from}`, 'info');
      return choice.servers;
    },
  };
}
