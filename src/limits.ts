/**
 * Every bound of the program, with its unit and its reason; unnamed tables, queues and buffers do not exist. Relations
 * between bounds are asserted at the end, on load.
 */

/** Throws on a broken invariant, which is a bug. node:assert would take a third of a megabyte in every thread. */
export function assert(condition: boolean, what = 'bounds fit together'): asserts condition {
  if (!condition) throw new Error(`broken invariant: ${what}.`);
}

// The wire (RFC 1035 2.3.4, 4.2.2; RFC 6891 6.2.5).
export const headerBytes = 12;
export const nameBytesMax = 255;
export const labelBytesMax = 63;
/** 255 bytes hold at most 127 one-byte labels and the root. */
export const labelsMax = 128;
export const messageBytesMax = 65535;
/** The UDP size of a client without OPT. */
export const plainUdpBytesMax = 512;
/** Our advertised and largest UDP size, unless `bufsize` changes it (DNS flag day 2020). */
export const udpBytesDefault = 1232;
/** Longer text of an extended error is cut. */
export const extendedErrorTextBytesMax = 200;
/** A server's identifier in our OPT (RFC 5001); the longest host name takes 64. */
export const nsidBytesMax = 128;
/** Our OPT: eleven bytes, an extended error, an identifier and a keepalive option. */
export const optBytesMax = 384;
/** Each answer is searched for each of these networks. */
export const preferredNetworksMax = 16;
/** Records in one message: each takes at least 11 bytes. */
export const recordsMax = Math.floor((messageBytesMax - headerBytes) / 11);
/** RFC 2181 8: TTLs are 31 bits; RFC 8767 4 suggests a cap of days. */
export const ttlSecondsMax = 2 ** 31 - 1;

/** Different names with equal hashes before a message is no longer compressed; by chance there is none. */
export const comparisonsInVainMax = 16;

// The cache.
/**
 * Shared memory for answers, by the capacities of all stores together: an answer with a long name, an alias and some
 * addresses takes 512 bytes, most take 128 to 256. The kernel gives pages only as they are touched.
 */
export const cacheBytesPerEntry = 512;
/** The least memory: small capacities have room for large answers. */
export const cacheBytesLeast = 64 * 1024 * 1024;
/** The most memory: what start, reload, takeover and -cachefile were measured with. */
export const cacheBytesMax = 512 * 1024 * 1024;
/** The capacity of one store. */
export const cacheEntriesMax = 1_048_576;
/** Entries of a store whose order one table keeps: V8 writes a table anew when it is full, within a millisecond. */
export const orderEntriesMax = 16_384;
/** Entries for which a new table has room: 22 kB. */
export const orderEntriesMin = 1_024;
/** Entries of one slice of work on a store: a fraction of a millisecond. */
export const entriesPerSlice = 100;
/** A mark of the last hit is rewritten after this share of the gap that it measures, not with each hit. */
export const hitMarkShare = 1 / 16;
/** Entries in one chain of a hash table that clients fill, and a look-up walks; by chance none has 20. */
export const chainEntriesMax = 32;
/** A slab holds blocks of one size class; the largest answer must fit in one. */
export const slabBytes = 256 * 1024;
/** Blocks above this size get at most this share of the memory; a thousand answers of 60 kB would take all of it. */
export const smallBlockBytesMax = 4_096;
export const largeBlocksShare = 1 / 4;
/** Slabs considered for emptying, with at most 2,048 blocks each: half a millisecond. */
export const slabsLookedAtMax = 8;
/** Used entries that are spared while making room for one. */
export const entriesSparedMax = 64;
/** Percent of a store's entries that protected ones may have: the rest is for names of which one hit may yet come. */
export const protectedPercentMax = 80;
/** Zones times ports over all reloads of a process; cache keys have 16 bits for it. */
export const zoneIdsMax = 65_535;
/** Parts of the program that make answers, plugins among them; each takes 25 numbers of a zone's counters in each thread. */
export const answerersMax = 12;
/** Zones no longer served whose counts stay, 3.7 kB each per thread; then the oldest one's place is reused. */
export const idleNumbersKept = 256;

// Questions that wait.
/** Distinct questions asked upstream at one moment; about 1 kB each. */
export const pendingMax = 16_384;
/** Clients waiting for one question; further ones get SERVFAIL. */
export const waitersPerQuestionMax = 1_024;
/** Equal questions in flight to one upstream: each makes guessing an id as much easier (RFC 5452 5). */
export const identicalQuestionsMax = 4;
/** Clients waiting for all questions; about 600 bytes each, and their queries. */
export const waitersMax = 65_536;
/** A longer waiting query is reduced to header, question and OPT. A cookie and the longest name take 320. */
export const waiterQueryBytesMax = 512;
/** Subqueries from a client's question to its answer, over all server blocks; RFC 1034 knows no chain as long. */
export const subquestionsMax = 10;
/** Each client may wait for this many questions, however many clients there are. */
export const clientWaitersLeast = 64;
/** Clients of an upstream that has been silent since the question was sent get SERVFAIL within 2 s. */
export const queryDeadlineMs = 1_900;
/** The deadline while the upstream answers other questions: a glibc client repeats its query after 5 s. */
export const slowDeadlineMs = 4_600;
/** The longest wait of a client, whatever `read_timeout` says. */
export const queryDeadlineCeilingMs = 5_000;
/** Answers to failed questions are accepted, for the client's repetition, this long after the question. */
export const lateAnswerMs = 10_000;
/** Failed questions of one `forward` that may get late answers; each holds a place on a connection, or a port. */
export const lateQuestionsMax = 256;
/** Objects kept for coming queries of one `forward`, half a kilobyte each: as many as a burst has in flight. */
export const freeQueriesMax = 256;
/** The same for the questions of clients, their waiters and their bytes, 1 kB each. */
export const freeQuestionsMax = 256;
/** One sweep over all that waits. */
export const sweepPeriodMs = 25;
/** The pause after a failed refresh, unless the Corefile sets one. */
export const refreshRecheckMs = 1_000;

// NXDOMAIN cuts.
/** Names above the question's that are looked for, from the zone down: `com.default.svc` is the third below its zone. */
export const cutAncestorsMax = 6;
/** Questions answered from cuts of which a thread knows that they were asked before. */
export const cutQuestionsRemembered = 4_096;
/** Names that are asked about because they may be cuts, 400 bytes each: 100 namespaces with ten top-level domains. */
export const learnedCutsMax = 1_024;
/** A cut that answered so many queries is refreshed before it ends; a rarer one costs less when it is asked again. */
export const cutUsesForRefresh = 3;
/** For so long a cut is asked again in place of what is below it, so that a name which it denies wrongly comes back. */
export const cutTrustedMs = 55_000;
/** A cut that has ended is remembered, to be asked again when somebody needs it. */
export const cutRememberedMs = 600_000;
/** The period of looking at learned cuts; they are refreshed in their last half second. */
export const cutSweepMs = 250;
export const cutRefreshMs = 500;
/** A name that turned out to exist, as namespaces do, is not asked about again for so long. */
export const cutExistsMs = 600_000;
/** The node's own search domains, as many as a pod may have; and the names of walks by which they are found. */
export const nodeDomainsMax = 32;
export const walksBegunMax = 256;
export const walksBegunMs = 5_000;
/** Questions of our own for each miss of a client, and how many may come at once; for cuts, and for the ends of walks. */
export const extraQuestionsShare = 1 / 4;
export const extraQuestionsBurst = 128;
/** For cuts in a second. */
export const extraQuestionsPerSecondMax = 200;
/** The same for the ends of walks: those that clients come to are not extra, and are given back. */
export const askedAheadPerSecondMax = 1_000;
/** Names asked ahead of their clients that are remembered, and how long a client has to ask. */
export const askedAheadMax = 1_024;
export const askedAheadMs = 5_000;

// For each dnstap collector.
/** Messages that wait, as in CoreDNS; two for each query. */
export const frameStreamFramesMax = 10_000;
/** Messages of `full` may be as long as answers. */
export const frameStreamBytesMax = 4 * 1024 * 1024;
/** Messages are collected this long for one write. */
export const frameStreamFlushMs = 100;
/** The pause before a collector that is away or does not greet is tried again. */
export const frameStreamRetryMs = 2_000;

// Workers.
/** Packets received, and answers sent, by one system call. */
export const batchPacketsMax = 64;
/** The rest of a longer UDP query is not read; the longest name with an OPT and a cookie takes 320. */
export const receiveSlotBytes = 4_096;
/** The largest answer a worker writes, with room for the OPT: `bufsize` goes up to 4096. */
export const sendSlotBytes = 4_096 + optBytesMax;
/** Deferred packets that the main thread has not taken: about 6,000 queries, or 200 ms of 30,000 a second. */
export const ringBytes = 1024 * 1024;
/** Each client's share of the second half of a ring, so that a flood leaves room for others. */
export const ringClientShare = 1 / 4;
/** The main thread serves deferred packets this long before it polls its sockets. */
export const handOverTurnMs = 2;
/** Deferred packets in the fair queue; about 600 bytes each. */
export const handedOverMax = 8_192;
/** Deferred packets moved to the fair queue per turn: takes about as long as serving may. */
export const ringMovedAtOnceMax = 1_024;
/** A worker repeats no refresh within this time, however many hits there are. */
export const refreshAgainMs = 200;
/** Refreshes that a worker remembers for that. */
export const refreshesRemembered = 256;
/**
 * Queries that a worker has asked upstream by itself, for all upstreams: what its connections may carry. Others are the
 * main thread's, which has room for all.
 */
export const directQueriesMax = 256;
/** Of these, for one client at least; beyond them as many as are free for others. Clients whose hashes collide share. */
export const directQueriesPerClient = 32;
/** Upstreams that a worker asks by itself, and its connections to each. */
export const directUpstreamsMax = 8;
export const directConnectionsMax = 8;
/** Queries on one of them, once all have as many as one of the main thread's may have. */
export const directInflightMax = 32;
/** A worker's own answers wait this long, and until there are so many, before it wakes the main thread for them. */
export const directAnswersHeldMs = 50;
export const directAnswersHeldMax = 64;
/** They answer equal queries until the main thread has cached them. */
export const recentAnswersBytes = 128 * 1024;
export const recentAnswersMax = 512;
export const recentAnswerMs = 1_000;
/** A question that a worker has deferred is the main thread's for so long, so that both do not ask; and so many of them. */
export const deferredAgainMs = 500;
export const deferredRemembered = 256;
/** Direct queries that may come to nothing, as a share of those that are answered, and in a row. */
export const directLossesShare = 1 / 16;
export const directLossesMax = 8;
/** After more of them the main thread alone asks this upstream, for so long. */
export const directPauseMs = 1_000;
/** What a worker reads from an upstream connection at once. */
export const directReadBytes = 64 * 1024;
/** How often a worker looks for direct queries that wait too long, and for connections that are unused too long. */
export const directSweepMs = 5;
export const directIdleSweepMs = 1_000;
/** A worker's time slice on a processor that it shares: shorter than the usual 1.4 to 3 ms, so it need not wait. */
export const workerSliceNanoseconds = 100_000n;
/** The longest delay until a worker with silent sockets notices new orders. */
export const receiveTimeoutMs = 100;
/** A worker waits for send buffer room this long, once per batch, before it drops an answer. */
export const sendTimeoutMs = 5;
/** The kernel gives at most net.core.rmem_max without CAP_NET_ADMIN. */
export const receiveBufferBytes = 4 * 1024 * 1024;
export const sendBufferBytes = 1024 * 1024;
/** One packet in this many, on average, is sampled for /top, unless there are few. */
export const samplePackets = 16;
/** Unread samples per worker: up to half as many packets a second are all taken; above 2,000 each represents more. */
export const samplesMax = 128;
/** With the self-check, so that no extra timer wakes the process. */
export const samplesReadMs = 1_000;
/** The header, the longest name, type and class. */
export const sampledPacketBytes = 272;
/** Upstreams that cached answers are known to come from; endpoints of the cluster DNS come and go. */
export const answerSourcesMax = 256;
/** Answers that a worker tells those who watch queries, between two readings: 2,500 a second. */
export const tracesMax = 1_024;
/** The period of reading them, each of which wakes the process, and what reading may take of it, 1 in 200. */
export const tracesReadMs = 400;
export const tracesTurnMs = 2;
/** Hits told in a period, by all workers, and of more one in so many: 50 a second at most, as many as a reader can use. */
export const tracedHitsMax = 20;
/** The longest -for of `zerohop tail`. */
export const watchedMsMax = 86_400_000;
/** Those who watch queries at one moment: each has its filter tried on every answer. */
export const queryWatchersMax = 8;
/** The pause before a worker that keeps dying is restarted. */
export const threadRestartMs = 100;
/** Pauses of 50 µs that the main thread waits for workers to stop reading cache memory. */
export const readersPausesMax = 40;

// Other instances on the node.
/** Bytes of /proc/net, 128 a socket, read without sock_diag: up to 50 ms; twice as many take four times that. */
export const procNetBytesMax = 512 * 1024;
/** While other instances share our ports the sockets are listed every second, within this share of the time. */
export const lookShare = 1 / 50;
/** The usual size of a chunk of cache entries, 0.2 ms of work for its reader; a large last entry may exceed it. */
export const entriesChunkBytes = 16 * 1024;
export const handoverFrameBytesMax = 256 * 1024;
/** A standby, a starting instance, and some that are exiting. */
export const handoverPeersMax = 8;
/** A peer must introduce itself within this time; a start waits no longer for a predecessor that hangs. */
export const introductionTimeoutMs = 500;
/** The longest silence of a peer that gives its cache or is asked to let us close. */
export const handoverSilenceMs = 1_000;
/** The whole transfer, during which the peer serves: a million entries take 5 to 20 s on a busy node. */
export const handoverTransferMs = 30_000;
/** From redirecting packets to closing a socket: packets under way arrive, handshakes end. */
export const settleMs = 50;
/** The period of messages and cache news to standbys; after this many silent periods they serve. */
export const keeperPeriodMs = 1_000;
export const silentPeriodsMax = 5;
/** Entries stored or ended in a period that are remembered for standbys; they miss the rest. */
export const newsMax = 65_536;
/** The period of writing -cachefile. */
export const snapshotPeriodMs = 30_000;
/** Larger -cachefile files are not read: entries take less there than in blocks, zone names come on top. */
export const snapshotBytesMax = 2 * cacheBytesMax;
/** The main thread survives this many exceptions in ten seconds. */
export const exceptionsMax = 10;

// TCP clients.
/** A longer query is FORMERR: nothing that we understand fills it, and over UDP no more is read. */
export const queryBytesMax = 4_096;
export const tcpClientsMax = 1_024;
/** Connections that one address may always have; beyond them as many as are free for others. */
export const tcpClientsOfAddressLeast = 64;
/** The shortest idle timeout when less than half of the places are free; stubs that reuse connections ask sooner. */
export const tcpIdleLeastMs = 1_000;
export const tcpClientInflightMax = 128;
/** Queries over TCP are served this long before the event loop goes on; about 250 hits. */
export const tcpTurnMs = 1;
/** Unsent bytes beyond which a client that does not read its answers is disconnected. */
export const tcpClientUnsentBytesMax = 256 * 1024;
/** For all TCP clients: half of what a container of 128 MiB has besides the cache. */
export const tcpUnsentBytesMax = 32 * 1024 * 1024;
/** The kernel keeps twice as much unread answers per connection; 128 MiB with all places taken. */
export const tcpSendBufferBytes = 64 * 1024;
/** For unread queries: more than a client may have in flight, and a bound on what is read at once. */
export const tcpReceiveBufferBytes = 32 * 1024;
/** The longest delay of a TCP client's timeout; one sweep checks all. */
export const tcpSweepPeriodMs = 250;
/** Queries between two sweeps that make it worth while to lend a connection to a worker, which costs as some hits do. */
export const lentQueriesLeast = 2;
/**
 * A worker with lent connections polls before it receives, 2 µs a batch; a query over TCP costs 100 µs less there than in
 * the main thread. So connections are lent while at most so many batches come for one query over TCP.
 */
export const lentBatchesPerQuery = 32;
/** Connections that a worker serves in one turn, and queries on each; with more the main thread lets clients take turns. */
export const lentReadyMax = 16;
export const lentQueriesMax = 16;
/** Answers to one connection that leave in one write; what the kernel does not take of it is copied. */
export const lentOutputBytes = 16 * 1024;
/** We wait this long for the client's FIN after ours, so that a reset does not destroy its last answers. */
export const tcpLingerMs = 1_000;

// Upstreams.
export const connectTimeoutMs = 1_000;
/** CoreDNS serves one connection's queries one after another, so few on each. */
export const connectionInflightMax = 16;
export const connectionsPerUpstreamMax = 64;
/** Queries that wait for a connection of one upstream. */
export const upstreamQueueMax = 4_096;
export const udpSocketsPerUpstreamMax = 512;
/** Connections or sockets of one upstream for one client at least; beyond them as many as are free for others. */
export const clientPlacesLeast = 8;
/** Beyond this many, clients without queries in flight are forgotten; each takes about 100 bytes. */
export const idleClientsMax = 1_024;
/** As in CoreDNS's `forward`. */
export const upstreamsPerForwardMax = 15;
/** How long an upstream that was found to answer over UDP alone, or TCP alone, is asked so. */
export const oneWayMs = 300_000;
/** A transport that worked this recently is not doubted for one lost answer. */
export const wayHeardMs = 60_000;
/** How long an upstream that answers only requests without OPT is sent none. */
export const withoutOptMs = 300_000;
/** After an answer to a request with OPT this recently, a failure is not blamed on the OPT. */
export const optHeardMs = 60_000;
/** Addresses of one name: with a forward's upstreams they fit a number's bits. */
export const learnedAddressesMax = 15;
/** The pause before a name with a failing address is resolved again; five times as long after a failure. */
export const learnSoonMs = 1_000;
/** The period of resolving a name, unless the Corefile sets one, and its minimum. */
export const learnPeriodMs = 30_000;
export const learnPeriodMsMin = 1_000;
/** Attempts per question, so that an upstream that fails fast is not asked in a hot loop. */
export const triesPerQuestionMax = 6;
/** Connections or ports opened at once to find a working endpoint, and rounds of that in a row. */
export const scoutsAtOnce = 4;
export const scoutRoundsMax = 4;
/** The pause between two rounds; it doubles. */
export const scoutRoundMs = 100;
/** An address with one dead endpoint is doubted this long: kube-proxy should learn of it much sooner. */
export const doubtMs = 300_000;
/** A doubted address asked this recently keeps a working connection or port in stock. */
export const doubtStockMs = 60_000;
/** UDP ports in stock: proving more costs more than they save. */
export const doubtStockMax = 32;
/** Requests per port of a doubted address, as each new port has to be proven first. */
export const udpRequestsPerProvenSocketMax = 32;
/** A lone question may overdraw the budget once, this long before it fails. */
export const rescueBeforeMs = 900;
/** Attempts charged to an upstream that answers, unless `max_connect_attempts` is set. */
export const triesChargedLeast = 3;
/** Ids of abandoned queries are not reused this long, because late answers may come. */
export const idQuarantineMs = 5_000;
export const connectionUnsentBytesMax = 1024 * 1024;
/** Requests per connection before another one is opened: a slow answer delays those behind it. */
export const connectionInflightTarget = 4;
/** Connections over which the requests to a fast upstream are spread, so that writes are shared. */
export const busyConnections = 8;
/** An upstream with a 95th percentile below this, queueing included, is fast. */
export const fastMsMax = 10;
/** Connections carry few requests for this long after one was held up: slow names may come again. */
export const heldUpMs = 10_000;
/** Concurrent connects to one upstream, so that a burst of misses is no burst of handshakes. */
export const connectsAtOnceMax = 8;
/** Abandoned ids per connection whose answers may still come; beyond it the connection is replaced. */
export const quarantinedIdsMax = 256;
/** How long an upstream that closes connections after a few answers gets only as many requests on each. */
export const shortConnectionsMs = 30_000;
/** A connection with unanswered requests is suspect after four times the recent 95th percentile, within these. */
export const askAgainAfterMsMin = 100;
export const askAgainAfterMs = 400;
/** The pause before a second repetition to the same upstream: a slow name must not block a third connection. */
export const askAgainNextMs = 1_200;
/** The shortest silence of a slow connection: busy machines pause as long. */
export const slowAfterMsMin = 2;
/** The shortest silence of a held-up connection, however fast the upstream. */
export const heldUpAfterMsMin = 10;
/** Questions repeated before their first answer, as a share of the questions of the last window. */
export const askAgainShare = 0.1;
export const askAgainWindowMs = 10_000;
/** The minimum of that, for less than 20 questions a second: more than one dead connection can hold. */
export const askAgainLeast = 20;
/** Of these, for one client; beyond them as many as are left for others. */
export const askAgainOfClientLeast = 12;
/** The pause before a failed upstream is asked the same question again. */
export const retryPauseMs = 100;
/** CoreDNS's timeout of a health probe. */
export const probeTimeoutMs = 1_000;
/** Requests from one UDP port, one at a time, before the port changes (RFC 5452 9.2). */
export const udpRequestsPerSocketMax = 8;
/** The sweep while nothing waits and connections only age. */
export const idleSweepPeriodMs = 1_000;

// Templates of resource records.
/** Text that one template may write: a record of 16 kB with every byte escaped as `\DDD`. */
export const templateOutputCharactersMax = 65_536;
/** Nodes executed per record: templates have a line or two and run on the main thread. */
export const templateStepsMax = 10_000;
/** Nesting of blocks and parentheses; the parser recurses. */
export const templateDepthMax = 64;
/** Label sets per metric of one server block's templates, because clients choose the type. */
export const templateSeriesMax = 1_024;

// Hosts files.
/** Names of one file, some 100 bytes each; lists that block advertising have about 150,000. */
export const hostsNamesMax = 262_144;
/** Records of one name, which must fit in a message: `0.0.0.0` has all names of a blocking list. */
export const hostsRecordsPerNameMax = 128;
export const hostsFileBytesMax = 16 * 1024 * 1024;

// Rewriting.
/** Rules of one server block: each miss walks them. */
export const rewriteRulesMax = 1_000;
/** A name has at most four times 255 characters, and patterns match names alone. */
export const patternCharactersMax = 1_000;
/** Steps of a pattern, each tried at each character of a name; few have more than a hundred. */
export const patternStepsMax = 10_000;
/** Data of an EDNS option written by a rule. */
export const optionBytesMax = 512;
/** Search domains of `autopath`, each a possible question; a pod may have 32. */
export const searchDomainsMax = 32;
/** EDNS options of one request; the longest name, written out, takes 1,016. */
export const requestOptionsBytesMax = 2_048;

// Configuration.
/** How often the Corefile is looked at when `reload` has no interval: ConfigMaps should be in force within seconds. */
export const reloadPeriodMs = 5_000;
/** The period of looking at the Corefile and its sources with -reloadwithsignal. */
export const configMapPeriodMs = 1_000;
/** The period of looking at a resolv.conf with upstreams. */
export const resolvConfPeriodMs = 2_000;
/** The age of known host addresses, by which a query must not be sent to ourselves. */
export const hostAddressesMs = 1_000;
/**
 * Their age where they only decide which places an HTTP connection takes: the kernel takes 4 ms of the main thread to
 * list the 120 interfaces of 60 pods, and a scraper on another host has a new connection each time.
 */
export const hostAddressesOfHttpMs = 10_000;
/** Between two start probes of an upstream. */
export const startProbePeriodMs = 1_000;
/** A reload has this long to finish at SIGTERM. */
export const reloadEndMs = 400;
/** After `lameduck`, queries in flight have this long; then the process ends. */
export const drainDeadlineMs = 3_000;
/** An address given up by a reload is listened on again after its clients are answered, or this long. */
export const addressFreeMs = 5_100;
/** After `lameduck` everything has this long: the drain, then removing link and rules. */
export const stopDeadlineMs = 4_500;
export const corefileBytesMax = 1024 * 1024;
export const importDepthMax = 16;
/** Words of a Corefile after imports: nested snippets can double with every step. */
export const corefileTokensMax = 200_000;
/** Nesting of blocks; CoreDNS's directives need two. */
export const corefileNestingMax = 8;
/** Zones of one server block with its networks as reverse zones; a /1 gives 128. */
export const zonesPerBlockMax = 1_024;
export const resolvConfServersMax = 15;
export const listenersMax = 256;
/** Kinds of clients that the `acl` rules of a listener distinguish, where answers must be kept apart. */
export const clientKindsMax = 64;
/** A node with more cores has other work for them. */
export const workersMax = 64;
/** Between checks of link and rules: less would be the main load, more would leave gaps of over a day. */
export const syncIntervalMsMin = 1_000;
export const syncIntervalMsMax = 86_400_000;
/** Linux's sockaddr_un without the closing zero. */
export const unixPathBytesMax = 107;

// Open files (RLIMIT_NOFILE).
/** While the program is read Node.js opens most of its files at once: it takes 56, and there will be more. */
export const openFilesToLoad = 96;
/** A worker's files, 16 while it is read, of which 4 stay open. */
export const openFilesPerWorker = 16;
/** The program's own files, 24, and some for clients and upstreams: one pod and one upstream need as many. */
export const openFilesSpare = 96;

// The node.
/** A program of the node's that has not ended by then is killed; `-w` makes iptables wait for less. */
export const commandTimeoutMs = 5_000;
/** Output of one: a node with 1,000 links writes about 1 MB. */
export const commandOutputBytesMax = 8 * 1024 * 1024;
/** How long iptables waits for its lock; then the failure is counted and retried. */
export const xtablesWaitSeconds = 2;
/** Listings of the rules until nothing is left to change; other programs may overtake a change. */
export const ruleRoundsMax = 4;
/** The pause after a failure on the node; doubles up to -syncinterval. */
export const hostRetryMs = 1_000;
/** The longest delay for removing rules before the listeners close, or everything after a failed start. */
export const hostLeaveDeadlineMs = 1_000;

// Watching.
export const httpRequestBytesMax = 16 * 1024;
/** HTTP connections to one port, about 20 kB each, from pods and other hosts, and from one address. */
export const httpConnectionsMax = 64;
export const httpConnectionsPerAddressMax = 8;
/** From programs of this host; only more between kubelet's handshake and request would close kubelet's connection. */
export const httpConnectionsOwnMax = 256;
/** The metrics are read at most this often for all scrapers, whose intervals are longer. */
export const metricsAgeMs = 1_000;
/** Bytes of the host's TCP table, 150 a connection, searched for a profile's requester: 0.2 s of a thread. */
export const connectionsReadBytesMax = 8 * 1024 * 1024;
/** V8 takes a sample a millisecond, about 50 bytes each. */
export const profileSecondsMax = 120;
/** A heap snapshot takes two to three times the heap; a larger one is cut. */
export const heapSnapshotBytesMax = 512 * 1024 * 1024;
/** A slower reader's snapshot is cut, because it is held in memory until then. */
export const heapSnapshotSendMs = 60_000;
/** The timeout of /health's query to our own socket. */
export const selfQueryTimeoutMs = 1_000;
export const queryLogLinesPerSecondMax = 20_000;
export const consolidatedErrorsMax = 4_096;
/** Lines per `errors` directive and second: an upstream that is down must not fill the disk. */
export const errorLinesPerSecondMax = 1_000;
/** Log lines that wait for a slow reader of stdout; more are lost and counted. */
export const logUnsentBytesMax = 4 * 1024 * 1024;
/** For a whole HTTP request, and the next one; a client that reads nothing has twice as long. */
export const httpTimeoutMs = 2_000;
/** As often as CoreDNS's health plugin. */
export const selfCheckPeriodMs = 1_000;
/** Names, and clients, counted for /top: all with more than one in this many packets are among them. */
export const topCountersMax = 512;
/** Of these, shown. */
export const topShownMax = 50;
/** /top shows between half of this and all of it. */
export const topWindowMs = 300_000;
/** The period of measuring the event loop's delay; with the self-check, so that no extra timer wakes the process. */
export const loopDelayPeriodMs = 1_000;
/** Repetitions of a query to ourselves within its timeout: a full receive queue loses packets. */
export const selfQueryTries = 4;

// The page.
/** A point of the page's history, and how many it keeps: the last hour. */
export const pagePointMs = 10_000;
export const pagePointsMax = 360;
/** Upstreams with a history of their own, 1.4 kB each; others are shown without. */
export const pageUpstreamsMax = 32;
/** How often an open page gets the present numbers, and how many times as seldom the lists, which change less. */
export const pageTickMs = 1_000;
export const pageTicksPerList = 5;
/** Pages open at a time. One more gets 503, as one that pushed another out would be pushed out in its turn. */
export const pageStreamsMax = 8;
/** Updates in a row that a page may leave unread before it is disconnected. */
export const pageUnreadMax = 3;
/** Different failures that the page shows, 1 kB each at most. */
export const pageFailuresMax = 50;
/** Failures a second that are compared with those; the others are only counted. */
export const pageFailuresPerSecondMax = 500;
/** Of a failure's reason, which has an upstream's words. */
export const pageReasonCharactersMax = 300;
/** Of the Corefile that the page shows. */
export const pageCorefileCharactersMax = 256 * 1024;

// The control socket.
/** Commands that ask at one moment: an operator has a few terminals, and each costs a descriptor and what it does not read. */
export const controlConnectionsMax = 16;
/** A command and its arguments; a list of search domains is the longest. */
export const controlRequestBytesMax = 16_384;
/** A client has this long to send its request, and to read the end of its answer. */
export const controlRequestTimeoutMs = 2_000;
/** What a slow reader has yet to read; more is dropped. Some screens of `zerohop tail`. */
export const controlUnsentBytesMax = 256 * 1024;
/** One value of an answer; the facts for the doctor with the longest names take a tenth. */
export const controlLineBytesMax = 1024 * 1024;
/** A reader that takes nothing of what waits for it for so long is closed: a terminal may be stopped for a while. */
export const controlStalledMs = 60_000;
/** Queries in one value of `zerohop tail`: with the longest names 150 kB. */
export const tailQueriesPerItem = 128;
/** What `zerohop top` shows as slow, for how long, and how many; and names and clients. */
export const topSlowMs = 10;
export const topSlowShownMs = 60_000;
export const topSlowMax = 10;
export const topTalkersMax = 20;
/** A frame is left out while a terminal has so much unread. */
export const screenUnsentBytesMax = 64 * 1024;
/** How often the instance that serves looks whether it still has the path. */
export const controlKeepPeriodMs = 5_000;
/** How long a command waits for the next line of the running zerohop, which may have a turn of a few hundred milliseconds. */
export const controlSilenceMs = 3_000;
/** Records of one cached answer that a command shows; pods get a dozen. */
export const lookupRecordsMax = 100;
/** A client of the cache waits for its answer as long as glibc does. */
export const listenerAnswerMs = 5_000;
/** How long a flush may take: it works behind a reload that moves a million entries. */
export const flushSilenceMs = 60_000;

// The kernel lane.
/** Answers that the kernel can give; a power of two. */
export const laneSlots = 8_192;
/** Clients that the kernel knows; beyond them the one that asked longest ago is forgotten. */
export const laneClientsMax = 4_096;
/** Interfaces over which questions came that are remembered, and to which the program is attached. */
export const laneInterfacesMax = 1_024;
/** Blocks hit for the first time that are remembered between two looks, a second apart; a power of two. */
export const firstHitsMax = 16_384;
/** The longest that an expired answer is given while no process of ours is there; then the kernel answers nothing. */
export const laneStaleMaxMs = 3_600_000;
/** How often the process shows the kernel that it is alive. */
export const laneHeartbeatMs = 200;
/** Without a sign of life for so long, no process of ours is there. One is late by milliseconds, a collection takes ten. */
export const laneDeadAfterMs = 500;
/** The time that a successor has to take over the links. One without a lane never does, and what is published grows old. */
export const laneReleasedMs = 10_000;
// A refresh so long before the end has time for `laneDeadAfterMs`, for the look that finds it, and for its answer. One that
// has taken longer gets that time more, up to half of the answer's.
export const laneRefreshBeforeMs = 1_000;
export const laneRefreshAnswerMs = 200;
/** What lasts shorter would be asked for twice as often. */
export const laneRefreshLifetimeMsMin = 3_000;
/** An answer that nobody asked for in so long is not in use. */
export const laneRefreshIdleMs = 10_000;
/** After a refresh that brought the same answer again, so many answers to the question are left to end. */
export const laneRefreshesSkipped = 8;
/** Refreshes whose answers nobody has asked for yet: those of a second, and of a node that has many names. */
export const laneRefreshesBurst = 1_024;
export const laneRefreshesPerSecondMax = 1_000;
/** How often the lane publishes and counts. */
export const lanePeriodMs = 1_000;
/** A slot is not used again for so long after its answer was taken out: a program that reads it runs a microsecond. */
export const laneQuarantineMs = 1_000;
/** Addresses and ports of ours that the kernel answers for. */
export const lanePlacesMax = 8;
/** With fewer free slots, answers that nobody asked for in so many rounds make room. */
export const laneSlotsKeptFree = laneSlots / 16;
export const laneIdleRoundsMax = 10;
/** Interfaces asked about in one look, whether they are still there. */
export const laneLinksLookedAt = 16;
/** An interface to which the program may not be attached is tried again after this. */
export const laneRefusedAgainMs = 60_000;
/** How long a packet that reached us lets its sender be answered in the kernel. */
export const laneAdmissionMs = 10_000;

// The doctor.
/** Between two runs of the cheap checks in the serving process. */
export const doctorPeriodMs = 60_000;
/** After a start other things matter: the takeover, the first misses. Not when a snapshot is written. */
export const doctorFirstMs = 45_000;
/** One check of such a run, two readings of counters included; the rest of a check that takes longer is lost. */
export const doctorCheckMs = 15_000;
/** Between two reads of counters that are compared. */
export const doctorCountersApartMs = 5_000;
/** For a program of the node that only lists something, and an HTTP answer. */
export const doctorCommandMs = 4_000;
/** What such a program may print: 20,000 routes take 3 MB. */
export const doctorOutputBytesMax = 8 * 1024 * 1024;
/** A listener on this node that says nothing for so long is silent. */
export const doctorAnswerMs = 1_000;
/** Endpoints whose names are written in one sentence. */
export const doctorNamesShown = 4;
/** Of a file in /proc; nf_conntrack has 200 bytes for each connection. */
export const doctorFileBytesMax = 16 * 1024 * 1024;
/** Of /proc/net/udp and tcp, 128 and 150 bytes a socket; listening TCP sockets come first. */
export const socketRowsBytesMax = 1024 * 1024;
/** Sources of flows that are told apart. */
export const flowSourcesMax = 1_024;
/** kube-proxy's own pages, on the same node: the mode is a word, the metrics of 10,000 Services take less. */
export const kubeProxyPageMs = 1_000;
export const kubeProxyPageBytesMax = 64 * 1024;
export const kubeProxyMetricsBytesMax = 2 * 1024 * 1024;
/** Of the counts of the last minutes that the checks look at; 40 bytes each. */
export const recentMinutesMax = 15;

// A run of the doctor.
/** It takes this at most; what has not been looked at by then is reported as skipped. */
export const doctorRunMs = 12_000;
/** Questions of one run, to all servers together: they must not be a load for a cluster DNS that is in trouble. */
export const doctorQuestionsMax = 300;
/** Checks that wait at one moment; most wait for the same answers. */
export const doctorChecksAtOnce = 8;
/** Endpoints of a Service that are asked; each takes six questions. */
export const doctorEndpointsMax = 16;
export const doctorTriesPerEndpoint = 3;
/** After a timeout, for what has come meanwhile to a process that was not scheduled. */
export const doctorGraceMs = 50;
/** At once, to a Service that seems silent while only some of its endpoints are: by chance all go to those of half. */
export const doctorTriesAtLast = 8;
/** Pairs of A and AAAA from one socket: of a race that loses one in a hundred they show more than half. */
export const doctorPairsMax = 100;
/** Pairs in flight; with fewer the sockets do not race, with more a small resolver may drop some by itself. */
export const doctorPairsAtOnce = 10;
/** Late is not lost: a pod asks again after 5 s only. */
export const doctorPairsWaitMs = 3_000;
/** The next pairs do not wait longer for late ones. */
export const doctorPairsNextMs = 300;
/** With fewer pairs no loss says nothing. */
export const doctorPairsLeast = 20;
/** Questions that the pairs leave for checks that run beside them. */
export const doctorQuestionsSpare = 40;
/** An HTTP answer of a CoreDNS; its metrics take 300 kB with many zones. */
export const doctorFetchMs = 1_000;
export const doctorFetchBytesMax = 2 * 1024 * 1024;
/** Lines of one chain of kube-proxy's that are read: one for each endpoint, two with session affinity. */
export const doctorRulesMax = 2_048;
/** Chains of nftables that are listed at once, a program each. */
export const doctorChainsMax = 2 * doctorEndpointsMax;
/** From one run of -watch to the next. */
export const doctorWatchPeriodMs = 60_000;

/** A block has a header, the message, and a 16-bit TTL offset per record. */
export const blockHeaderBytes = 64;
export const blockBytesMax = blockHeaderBytes + messageBytesMax + 1 + 2 * recordsMax + 64;

assert(11 + 6 + extendedErrorTextBytesMax + 4 + nsidBytesMax + 6 <= optBytesMax);
assert(blockBytesMax <= slabBytes, 'the largest answer fits in a slab');
assert(queryDeadlineMs < 2_000, 'SERVFAIL comes within two seconds');
assert(queryDeadlineMs <= queryDeadlineCeilingMs);
assert(connectTimeoutMs < queryDeadlineMs, 'a failed connect leaves time for another try');
assert(udpBytesDefault >= plainUdpBytesMax);
assert(cacheBytesMax % slabBytes === 0 && cacheBytesLeast % slabBytes === 0, 'the cache is a whole number of slabs');
assert(cacheEntriesMax * cacheBytesPerEntry === cacheBytesMax, 'one store may have all of the memory');
assert(cacheBytesMax < 2 ** 31, 'block references are 31 bits');
assert(waitersPerQuestionMax <= waitersMax);
assert(waitersMax * waiterQueryBytesMax <= 32 * 1024 * 1024, 'queries that wait leave room in a container of 128 MiB');
assert(headerBytes + nameBytesMax + 4 + 11 + 8 <= waiterQueryBytesMax, 'the stored part of a long query is short');
assert(receiveSlotBytes >= queryBytesMax, 'a query that fits over TCP is read over UDP');
assert(receiveSlotBytes % 64 === 0 && sendSlotBytes % 64 === 0, 'slots begin on cache lines');
assert(sampledPacketBytes >= headerBytes + nameBytesMax + 4 && sampledPacketBytes % 4 === 0);
assert(sampledPacketBytes <= receiveSlotBytes && (samplesMax & (samplesMax - 1)) === 0);
assert((tracesMax & (tracesMax - 1)) === 0 && tracedHitsMax < tracesMax, 'a period of hits leaves room for misses');
assert(receiveSlotBytes * 4 < ringBytes, 'every packet fits in an empty ring');
assert(receiveSlotBytes * 2 < (ringBytes / 2) * ringClientShare, 'every packet fits in the share of one client');
assert(ringMovedAtOnceMax <= handedOverMax);
assert(entriesChunkBytes + messageBytesMax + 32 * 1024 < handoverFrameBytesMax, 'a chunk fits in a frame');
assert(idQuarantineMs >= queryDeadlineMs);
assert(laneRefreshBeforeMs >= laneDeadAfterMs + laneHeartbeatMs + laneRefreshAnswerMs, 'a refresh comes in time');
assert(laneRefreshLifetimeMsMin > 2 * laneRefreshBeforeMs, 'a refresh makes at most half as many questions more');
assert(slowDeadlineMs < 5_000, 'a slow answer comes before a glibc client repeats its question');
assert(queryDeadlineMs < slowDeadlineMs && slowDeadlineMs <= queryDeadlineCeilingMs);
assert(queryDeadlineCeilingMs < lateAnswerMs);
assert(queryDeadlineCeilingMs + 2 * sweepPeriodMs < addressFreeMs, 'every question is over by then');
assert(lateQuestionsMax <= udpSocketsPerUpstreamMax / 2, 'late answers leave ports for others');
assert(udpRequestsPerProvenSocketMax >= udpRequestsPerSocketMax);
assert(xtablesWaitSeconds * 1000 < commandTimeoutMs, 'iptables itself reports that the lock is held');
assert(reloadEndMs + stopDeadlineMs < 5_000, 'a stop takes at most five seconds');
assert(drainDeadlineMs + hostLeaveDeadlineMs < stopDeadlineMs, 'there is time left for link and rules');
assert(tcpClientUnsentBytesMax > messageBytesMax, 'one answer always fits');
assert(
  tcpClientUnsentBytesMax * 2 * tcpClientsOfAddressLeast <= tcpUnsentBytesMax,
  'two that read nothing fit with all they may have',
);
assert(connectionInflightTarget <= connectionInflightMax);
assert((deferredRemembered & (deferredRemembered - 1)) === 0, 'a hash has its place by its lowest bits');
assert(directConnectionsMax * directInflightMax >= directQueriesMax, 'connections to one upstream carry them all');
assert(askAgainAfterMs + askAgainNextMs < queryDeadlineMs, 'two lost packets leave time for a third try');
assert(upstreamsPerForwardMax + learnedAddressesMax <= 30);
assert(askAgainLeast > connectionInflightMax, 'a dead connection can be replaced at any time');
assert(doctorTriesPerEndpoint * doctorAnswerMs + doctorCountersApartMs + 2 * doctorFetchMs < doctorRunMs);
assert(
  doctorTriesPerEndpoint * doctorAnswerMs +
    (doctorPairsMax / doctorPairsAtOnce) * doctorPairsNextMs +
    doctorPairsWaitMs <
    doctorRunMs,
  'the pairs come to an end',
);
assert(2 * doctorTriesPerEndpoint * doctorEndpointsMax < doctorQuestionsMax, 'every endpoint can be asked');
