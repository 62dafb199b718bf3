/** What the serving process tells the doctor about itself. All counts are since its start unless they say otherwise. */
import type { Endpoint } from '../os/network.js';

export interface UpstreamFacts {
  readonly address: string;
  readonly protocol: 'udp' | 'tcp' | 'tls';
  readonly healthy: boolean;
  readonly failures: number;
}

/** The page cache may be given back at any time, so it does not count. */
export interface MemoryUse {
  readonly limitBytes: number;
  readonly usedBytes: number;
  readonly kills: number;
}

export interface ServerFacts {
  readonly version: string;
  readonly pid: number;
  readonly upSeconds: number;
  readonly role: 'serving' | 'stand-by' | 'leaving';
  readonly standBys: number;
  readonly isLastReloadRefused: boolean;
  /** Whether a successor or a stand-by can find this instance (`-handover`). */
  readonly hasHandover?: boolean;
  /** Whether the kernel gives cached answers, past the firewall. */
  readonly hasKernelLane?: boolean;
  /** UDP sockets of other processes on our addresses and port. */
  readonly foreignSockets?: number;
  /** Of its container; null: no limit that it can see. */
  readonly memory?: MemoryUse | null;
  /** `net:[4026531840]`: where it serves. */
  readonly networkNamespace?: string;
  /** As on the command line. */
  readonly flags: {
    readonly localAddresses: readonly string[];
    readonly dnsPort: number;
    readonly healthPort: number;
    readonly setupInterface: boolean;
    readonly interfaceName: string;
    readonly firewall: string;
    /** The address of `-upstreamsvc`; null with the reason why there is none. */
    readonly clusterDns: Endpoint | null;
    readonly clusterDnsMissing: string;
  };
  /** `cluster.local`, without a final dot: the zone of the Corefile that goes to the cluster DNS. Null: there is none. */
  readonly clusterDomain: string | null;
  /** What the Corefile in force says of AAAA in the cluster's and the root's blocks: `nxdomain`, `nodata`, `forward`, … */
  readonly aaaaPolicies: readonly string[];
  /** Resolvers of the node that `forward . /etc/resolv.conf` uses, and those of the file that it skips, with the reason. */
  readonly nodeResolvers: readonly string[];
  readonly skippedResolvers: readonly string[];
  readonly upstreams: readonly UpstreamFacts[];
  readonly retries: number;
  /** Over the last 15 minutes, or since the start. */
  readonly recent: {
    readonly seconds: number;
    readonly queries: number;
    /** By the address that they were sent to. */
    readonly byLocalAddress: Readonly<Record<string, number>>;
    readonly aaaa: number;
    readonly nxdomainBelowClusterDomain: number;
    readonly servfail: number;
  };
  /** The most frequent names, most frequent first. `exists`: the cache has an answer with data for it. */
  readonly topNames: readonly { readonly name: string; readonly count: number; readonly exists?: boolean }[];
  /** Addresses of clients of the last minutes, as far as packets were sampled, the most active first. */
  readonly topClients?: readonly string[];
  readonly hasAutopath: boolean;
  /** Conditions of /ready that are missing. */
  readonly notReady: readonly string[];
}
