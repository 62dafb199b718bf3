/**
 * Every bound of the program, with its unit and its reason. A table, queue or buffer that is not named here does not
 * exist. Relations between bounds are asserted at the end, when the module is loaded.
 */

/**
 * Throws where something does not hold that must, which is a bug of ours. node:assert, which shows differences at
 * length, takes a third of a megabyte in every thread.
 */
export function assert(condition: boolean, what = 'bounds fit together'): asserts condition {
  if (!condition) throw new Error(`It does not hold that ${what}.`);
}

// The wire (RFC 1035 2.3.4, 4.2.2; RFC 6891 6.2.5).
export const headerBytes = 12;
export const nameBytesMax = 255;
export const labelBytesMax = 63;
/** 255 bytes hold at most 127 one-byte labels and the root. */
export const labelsMax = 128;
export const messageBytesMax = 65535;
/** What a client that sent no OPT takes over UDP. */
export const plainUdpBytesMax = 512;
/** Our advertised and largest UDP size unless `bufsize` says otherwise (the DNS flag day 2020 figure). */
export const udpBytesDefault = 1232;
/** Text of an extended error; longer is cut. */
export const extendedErrorTextBytesMax = 200;
/** A server's identifier in our OPT (RFC 5001); the longest host name takes 64. */
export const nsidBytesMax = 128;
/** Our own OPT: eleven bytes, an extended error, an identifier and a keepalive option. */
export const optBytesMax = 384;
/** Networks whose addresses come first in answers: each is looked for in each answer. */
export const preferredNetworksMax = 16;
/** Records in one message: each takes at least 11 bytes. */
export const recordsMax = Math.floor((messageBytesMax - headerBytes) / 11);
/** RFC 2181 8: TTLs are 31 bits; RFC 8767 4 suggests a cap of days. */
export const ttlSecondsMax = 2 ** 31 - 1;

/** Names of one hash that are not the same, in one message, until it is no longer compressed: by chance there is none. */
export const comparisonsInVainMax = 16;

// The cache.
/** Shared memory for answers; the kernel gives pages only as they are touched. */
export const cacheBytesMax = 64 * 1024 * 1024;
/** Entries of all stores together; the index has one chain per two of them. */
export const cacheEntriesMax = 262_144;
/** Entries of one chain of a hash table that clients fill, all of which a look-up may walk; by chance none has 20. */
export const chainEntriesMax = 32;
/** A slab holds blocks of one size class; the largest answer must fit in one. */
export const slabBytes = 256 * 1024;
/** Blocks above this size have at most this share of the memory; a thousand answers of 60 kB would take all of it. */
export const smallBlockBytesMax = 4_096;
export const largeBlocksShare = 1 / 4;
/** Slabs looked at for the one to be emptied: 2,048 blocks each at the most, so half a millisecond. */
export const slabsLookedAtMax = 8;
/** Entries that were used, and are spared for that, while room is made for one. */
export const entriesSparedMax = 64;
/** Zones times ports over all reloads of a process; a cache key spends 16 bits on it. */
export const zoneIdsMax = 65_535;
/** Parts of the program that make answers, plugins among them; each takes 25 numbers of a zone's counters in each thread. */
export const answerersMax = 12;
/** Zones that are served no more keep their counts, 3.1 kB in each thread; of more than so many the oldest gives its place away. */
export const idleNumbersKept = 256;

// Questions that wait.
/** Distinct questions asked upstream at one moment; about 1 kB each. */
export const pendingMax = 16_384;
/** Clients waiting for one question; further ones get SERVFAIL. */
export const waitersPerQuestionMax = 1_024;
/** The same question under way to one upstream: each more makes an id as much easier to guess (RFC 5452 5). */
export const identicalQuestionsMax = 4;
/** Clients waiting for all questions together; about 600 bytes each, and their queries. */
export const waitersMax = 65_536;
/** Of a query that waits; of a longer one header, question and what its OPT says are kept. A cookie and the longest name take 320. */
export const waiterQueryBytesMax = 512;
/** Questions of ours that lead from a client's to its answer, over all server blocks; RFC 1034 knows no chain as long. */
export const subquestionsMax = 10;
/** What one client may always wait for, however many others there are. */
export const clientWaitersLeast = 64;
/** Where the upstream has been silent altogether since the question was sent, clients get SERVFAIL within 2 s. */
export const queryDeadlineMs = 1_900;
/** While the upstream answers others, a question may take this long: a glibc client repeats it after 5 s. */
export const slowDeadlineMs = 4_600;
/** No `read_timeout`, however long, makes a client wait longer than this. */
export const queryDeadlineCeilingMs = 5_000;
/** The answer to a question that has failed is still taken, for the client's repetition, until so long after it was asked. */
export const lateAnswerMs = 10_000;
/** Such questions of one `forward`; the oldest gives way. Few, as each holds a place on a connection, or a port. */
export const lateQuestionsMax = 256;
/** The one sweep over everything that waits. */
export const sweepPeriodMs = 25;
/** How long a refresh that failed keeps the next one away when the Corefile does not say. */
export const refreshRecheckMs = 1_000;

// What collectors of dnstap have not taken yet, for each of them.
/** Messages that wait, as in CoreDNS; two for each query. */
export const frameStreamFramesMax = 10_000;
/** With `full` they may be as long as answers are, so their bytes are bounded, too. */
export const frameStreamBytesMax = 4 * 1024 * 1024;
/** So long they are gathered, for one write. */
export const frameStreamFlushMs = 100;
/** Until a collector that is not there, or does not greet back, is tried again. */
export const frameStreamRetryMs = 2_000;

// Answering threads.
/** Packets received, and answers sent, by one system call. */
export const batchPacketsMax = 64;
/** Of a longer query over UDP the rest is not read; the longest name with an OPT and a cookie takes 320. */
export const receiveSlotBytes = 4_096;
/** The largest answer that a thread writes itself, with room for the OPT: `bufsize` goes up to 4096. */
export const sendSlotBytes = 4_096 + optBytesMax;
/** What threads hand to the control lane and it has not taken yet: some 6,000 questions, or 200 ms of 30,000 a second. */
export const ringBytes = 1024 * 1024;
/** Of the second half of a ring's room each client may have this share: a flood leaves room to others. */
export const ringClientShare = 1 / 4;
/** How long the control lane serves what was handed over before it looks at its sockets again. */
export const handOverTurnMs = 2;
/** Handed-over packets that wait for their client's turn; about 600 bytes each. */
export const handedOverMax = 8_192;
/** Of what threads handed over, moved in one turn to where it waits: about as long as serving may take. */
export const ringMovedAtOnceMax = 1_024;
/** A thread does not ask for the same refresh again within this time, however many hits there are. */
export const refreshAgainMs = 200;
/** Refreshes that a thread remembers for that. */
export const refreshesRemembered = 256;
/** How late a thread whose sockets are silent may notice that it has others to serve. */
export const receiveTimeoutMs = 100;
/** How long a thread waits for room in a full send buffer, once in a batch, before it drops an answer. */
export const sendTimeoutMs = 5;
/** The kernel gives at most net.core.rmem_max unless we may exceed it. */
export const receiveBufferBytes = 4 * 1024 * 1024;
export const sendBufferBytes = 1024 * 1024;
/** Of so many packets one is looked at, on average, for /top. */
export const samplePackets = 16;
/** Samples of one thread that were not read yet; above 2,000 packets a second each stands for more. */
export const samplesMax = 128;
/** How often they are read; with the self-check, so that it wakes nobody. */
export const samplesReadMs = 1_000;
/** Of a sampled packet: the header, the longest name, type and class. */
export const sampledPacketBytes = 272;
/** A thread that ends again and again is started this much later. */
export const threadRestartMs = 100;
/** Memory of the cache that an answering thread might still be reading is waited for this long, 50 µs a time. */
export const readersPausesMax = 40;

// Other instances on the node.
/**
 * Of /proc/net, 128 bytes a socket, where the kernel has no other way to tell who shares a port. So much takes up to 50
 * ms, twice as much four times as long.
 */
export const procNetBytesMax = 512 * 1024;
/** While others share our ports it is looked who they are, every second; but for no more than this part of the time. */
export const lookShare = 1 / 50;
/** Cached answers travel in chunks of about so many bytes, a millisecond of work each; the last may be the largest. */
export const entriesChunkBytes = 64 * 1024;
export const handoverFrameBytesMax = 256 * 1024;
/** One that stands by, one that starts, and some that are just leaving. */
export const handoverPeersMax = 8;
/** Who does not say who it is by then is not listened to; a start waits no longer for a predecessor that hangs. */
export const introductionTimeoutMs = 500;
/** How long a peer that gives its cache may say nothing, or one that is asked to let us go; and the cache in all. */
export const handoverSilenceMs = 1_000;
export const handoverTransferMs = 5_000;
/** From packets going elsewhere to the closing of a socket: what was under way arrives, handshakes end. */
export const settleMs = 50;
/** How often those that stand by hear from us and get what is new; after so many of silence they serve. */
export const keeperPeriodMs = 1_000;
export const silentPeriodsMax = 5;
/** Entries stored or ended between two such periods that are remembered; beyond it those that stand by miss some. */
export const newsMax = 65_536;
/** How often the cache is written to -cachefile. */
export const snapshotPeriodMs = 30_000;
/** A file of -cachefile that is larger is not read: an entry takes less in it than its block, zones' names come on top. */
export const snapshotBytesMax = 2 * cacheBytesMax;
/** The control lane goes on after an exception, but not after more than this in ten seconds. */
export const exceptionsMax = 10;

// TCP clients.
/** A longer query is FORMERR: nothing that we understand fills it, and over UDP no more is read. */
export const queryBytesMax = 4_096;
export const tcpClientsMax = 1_024;
/** Connections that one address may always have; beyond them as many as are free for others. */
export const tcpClientsOfAddressLeast = 64;
/** While fewer than half of the places are free, idle connections are kept shorter, down to this: a stub that reuses one asks sooner. */
export const tcpIdleLeastMs = 1_000;
export const tcpClientInflightMax = 128;
/** How long queries over TCP are served before the event loop looks after everything else; some 250 hits. */
export const tcpTurnMs = 1;
/** A client that does not read its answers loses the connection beyond this many unsent bytes. */
export const tcpClientUnsentBytesMax = 256 * 1024;
/** Of all TCP clients together: half of what a container of 128 MiB has besides the cache. */
export const tcpUnsentBytesMax = 32 * 1024 * 1024;
/** The kernel keeps twice as much of each connection's unread answers; with all places taken that is 128 MiB. */
export const tcpSendBufferBytes = 64 * 1024;
/** And of its unread queries: more than a client may have in flight, and no more to read at once when many come together. */
export const tcpReceiveBufferBytes = 32 * 1024;
/** How late a timeout of a TCP client may be noticed; one sweep looks after all of them. */
export const tcpSweepPeriodMs = 250;
/** A connection that we ended waits this long for the client's FIN, so that its last answers are not lost to a reset. */
export const tcpLingerMs = 1_000;

// Upstreams.
export const connectTimeoutMs = 1_000;
/** CoreDNS serves one connection's queries one after another, so few on each. */
export const connectionInflightMax = 16;
export const connectionsPerUpstreamMax = 64;
/** Queries waiting for a free place on a connection of one upstream. */
export const upstreamQueueMax = 4_096;
export const udpSocketsPerUpstreamMax = 512;
/** Connections, or sockets, of one upstream that one client may always use; beyond them as many as are free for others. */
export const clientPlacesLeast = 8;
/** Clients that have nothing under way are forgotten when there are more: one of them costs some 100 bytes. */
export const idleClientsMax = 1_024;
/** `forward` takes at most this many upstreams, as CoreDNS's does. */
export const upstreamsPerForwardMax = 15;
/** An upstream found to answer over UDP alone, or TCP alone, is asked so for this long. */
export const oneWayMs = 300_000;
/** A transport by which it answered this recently is not doubted for one question that got no answer. */
export const wayHeardMs = 60_000;
/** An upstream found to answer only requests without OPT is sent one with an OPT this much later, to see. */
export const withoutOptMs = 300_000;
/** An upstream that answered a request with OPT this recently does not mean the OPT when it fails. */
export const optHeardMs = 60_000;
/** Addresses learned from one name: with the upstreams that a forward names they fit the bits of a number. */
export const learnedAddressesMax = 15;
/** A name is asked for again this soon when one of its addresses is in trouble, and five times as late when that failed. */
export const learnSoonMs = 1_000;
/** Between two looks at a name when the Corefile does not say, and at least. */
export const learnPeriodMs = 30_000;
export const learnPeriodMsMin = 1_000;
/** Tries for one question, so that a fast failing upstream is not asked in a hot loop. */
export const triesPerQuestionMax = 6;
/** Connections or ports opened at once to find one that leads to an endpoint that answers, and rounds of it in a row. */
export const scoutsAtOnce = 4;
export const scoutRoundsMax = 4;
/** The pause between two such rounds; each is twice as long as the one before. */
export const scoutRoundMs = 100;
/** An address behind which one endpoint was found dead is doubted for this long: kube-proxy should be told much sooner. */
export const doubtMs = 300_000;
/** While an address is doubted and was asked this recently, a connection or port that leads somewhere is kept at hand. */
export const doubtStockMs = 60_000;
/** Ports over UDP that are kept at hand at the most: proving more costs more than they save. */
export const doubtStockMax = 32;
/** Requests sent from one port of an address in doubt: each new port has to be proven first. */
export const udpRequestsPerProvenSocketMax = 32;
/** A question on its own has the budget overdrawn for it once, this long before it would fail. */
export const rescueBeforeMs = 900;
/** Of these, for which an upstream answers, unless `max_connect_attempts` says otherwise. */
export const triesChargedLeast = 3;
/** An id is not used again for this long after its query was given up: the late answer may still come. */
export const idQuarantineMs = 5_000;
export const connectionUnsentBytesMax = 1024 * 1024;
/** Every connection carries this many before another is opened: a slow answer holds up those behind it. */
export const connectionInflightTarget = 4;
/** While the upstream is fast, what is under way is spread over about this many connections, so that writes are shared. */
export const busyConnections = 8;
/** An upstream whose 95th percentile, waiting behind others included, is below this is fast. */
export const fastMsMax = 10;
/** After one connection was held up, each carries few for this long: a slow name may come again. */
export const heldUpMs = 10_000;
/** Connects under way to one upstream; a burst of misses is no reason for a burst of handshakes. */
export const connectsAtOnceMax = 8;
/** Ids given up on one connection whose answers may still come; beyond it the connection is replaced. */
export const quarantinedIdsMax = 256;
/** An upstream seen to close connections after a few answers is asked for no more on each, for this long. */
export const shortConnectionsMs = 30_000;
/** A connection that owes answers is a suspect after silence of four times the recent 95th percentile, within these. */
export const askAgainAfterMsMin = 100;
export const askAgainAfterMs = 400;
/** A second repetition to the same upstream comes this much later: a slow name is not to hold up a third connection. */
export const askAgainNextMs = 1_200;
/** A connection that has been silent for less is not called slow: a busy machine does that. */
export const slowAfterMsMin = 2;
/** Nor is one held up that has been silent for less, whatever the upstream's pace. */
export const heldUpAfterMsMin = 10;
/** Questions asked again while their answer is still owed, as a share of those asked in the window before. */
export const askAgainShare = 0.1;
export const askAgainWindowMs = 10_000;
/** As many are allowed where the share is less, below 20 questions a second: what one dead connection can hold, and some. */
export const askAgainLeast = 20;
/** Of these, for one client; beyond them as many as are left for others. */
export const askAgainOfClientLeast = 12;
/** The pause before an upstream that has just failed a question is asked it once more. */
export const retryPauseMs = 100;
/** A health probe without an answer has failed after this long (CoreDNS's figure). */
export const probeTimeoutMs = 1_000;
/** Requests sent from one UDP port, one at a time, before the port is changed (RFC 5452 9.2). */
export const udpRequestsPerSocketMax = 8;
/** The sweep while nothing waits and connections only grow old. */
export const idleSweepPeriodMs = 1_000;

// Templates of resource records.
/** Text that one template may write: a record of 16 kB with every byte escaped as `\DDD`. */
export const templateOutputCharactersMax = 65_536;
/** Nodes executed for one record: a template is a line or two, and it runs on the lane that serves everyone. */
export const templateStepsMax = 10_000;
/** Blocks and parentheses inside each other; the parser recurses. */
export const templateDepthMax = 64;
/** Label sets counted per metric of one server block's templates: clients choose the type. */
export const templateSeriesMax = 1_024;

// Hosts files.
/** Names of one file, some 100 bytes each; lists that block advertising have about 150,000. */
export const hostsNamesMax = 262_144;
/** Records of one name, so that they fit in a message: `0.0.0.0` has all names of such a list. */
export const hostsRecordsPerNameMax = 128;
export const hostsFileBytesMax = 16 * 1024 * 1024;

// Rewriting.
/** Rules of one server block: each miss walks them. */
export const rewriteRulesMax = 1_000;
/** A pattern's length; a name is at most four times 255 characters, and patterns are tried on names alone. */
export const patternCharactersMax = 1_000;
/** Steps of a pattern, each of which may be taken at each character of a name; few have more than a hundred. */
export const patternStepsMax = 10_000;
/** Data of one EDNS option that a rule writes. */
export const optionBytesMax = 512;
/** Search domains of `autopath`, each of which may be a question; a pod may have 32. */
export const searchDomainsMax = 32;
/** EDNS options of one request; the longest name, written out, takes 1,016. */
export const requestOptionsBytesMax = 2_048;

// Configuration.
/** How often the Corefile is looked at when `reload` has no interval: ConfigMaps should be in force within seconds. */
export const reloadPeriodMs = 5_000;
/** How often the Corefile and what it is made from are looked at with -reloadwithsignal. */
export const configMapPeriodMs = 1_000;
/** How often a resolv.conf that is an upstream is looked at. */
export const resolvConfPeriodMs = 2_000;
/** How old may be what is known of the host's addresses: asking takes the kernel a tenth of a millisecond. */
export const hostAddressesMs = 1_000;
/** Between two tries to get a first answer from an upstream after start. */
export const startProbePeriodMs = 1_000;
/** A reload that is under way at SIGTERM has this long to finish; then the stop goes on without it. */
export const reloadEndMs = 400;
/** After `lameduck`, what is in flight may take this long; then the process ends anyway. */
export const drainDeadlineMs = 3_000;
/** Clients of an address that a reload gave up are answered by then; only after that it is listened on anew. */
export const addressFreeMs = 5_100;
/** After `lameduck`, all of the end may take this long: what the drain leaves is for taking out link and rules. */
export const stopDeadlineMs = 4_500;
export const corefileBytesMax = 1024 * 1024;
export const importDepthMax = 16;
/** Words of a Corefile after its imports; snippets that import snippets can double with every step. */
export const corefileTokensMax = 200_000;
/** Blocks in blocks; CoreDNS's directives need two. */
export const corefileNestingMax = 8;
/** Zones of one server block after its networks became reverse zones; a /1 gives 128. */
export const zonesPerBlockMax = 1_024;
export const resolvConfServersMax = 15;
export const listenersMax = 256;
/** Kinds of clients that the rules of `acl` on one listener tell apart, where their answers must be kept apart. */
export const clientKindsMax = 64;
/** Answering threads; a node with more cores than this has other work for them. */
export const workersMax = 64;
/** Between looks at link and rules: below it they would be the load, above it a gap would last longer than a day. */
export const syncIntervalMsMin = 1_000;
export const syncIntervalMsMax = 86_400_000;
/** Linux's sockaddr_un, without the closing zero. */
export const unixPathBytesMax = 107;

// Open files (RLIMIT_NOFILE).
/** While the program is read Node.js opens most of its modules at once: 119 files, and there will be more modules. */
export const openFilesToLoad = 160;
/** The same of an answering thread, 12; 4 of them stay open. */
export const openFilesPerWorker = 16;
/** Of the program itself, 24; the rest is for clients and upstreams. Fewer would not do for one pod and one upstream. */
export const openFilesSpare = 96;

// The node.
/** A program of the node's that has not ended by then is killed; `-w` makes iptables wait for less. */
export const commandTimeoutMs = 5_000;
/** Output of one: a node with 1,000 links writes about 1 MB. */
export const commandOutputBytesMax = 8 * 1024 * 1024;
/** How long iptables waits for the lock that all its users share; then the failure is counted and tried again. */
export const xtablesWaitSeconds = 2;
/** Looks at the rules until one finds nothing to change; each may be overtaken by another program's change. */
export const ruleRoundsMax = 4;
/** What failed on the node is tried again this soon, then twice as late each time, up to -syncinterval. */
export const hostRetryMs = 1_000;
/** Taking out rules before the listeners close, or all after a failed start, may keep the process this long. */
export const hostLeaveDeadlineMs = 1_000;

// Watching.
export const httpRequestBytesMax = 16 * 1024;
/** HTTP connections to one port, some 20 kB each, from pods and other hosts, and of these from one address. */
export const httpConnectionsMax = 64;
export const httpConnectionsPerAddressMax = 8;
/** From programs of this host; kubelet's is closed unheard only if so many come between its handshake and its request. */
export const httpConnectionsOwnMax = 256;
/** The numbers of /metrics are read at most so often, for all who ask; a scraper's own interval is longer. */
export const metricsAgeMs = 1_000;
/** Of the host's TCP connections, some 150 bytes each, looked through for who asks for a profile: 0.2 s of one thread. */
export const connectionsReadBytesMax = 8 * 1024 * 1024;
/** Recording a profile: V8 takes a sample a millisecond, some 50 bytes each. */
export const profileSecondsMax = 120;
/** A heap snapshot takes two to three times the heap; one larger than this is cut. */
export const heapSnapshotBytesMax = 512 * 1024 * 1024;
/** And so is one that a client takes longer to read: until then it is held in memory. */
export const heapSnapshotSendMs = 60_000;
/** A /health question must be answered by our own socket within this. */
export const selfQueryTimeoutMs = 1_000;
export const queryLogLinesPerSecondMax = 20_000;
export const consolidatedErrorsMax = 4_096;
/** Lines of one `errors` directive in a second; an upstream that is down must not fill the disk of the node. */
export const errorLinesPerSecondMax = 1_000;
/** Log lines that wait for a slow reader of stdout; what comes on top is lost and counted, memory is not. */
export const logUnsentBytesMax = 4 * 1024 * 1024;
/** A whole HTTP request must have come within this, and the next one; a client that takes no bytes has twice as long. */
export const httpTimeoutMs = 2_000;
/** CoreDNS's health plugin looks at itself as often. */
export const selfCheckPeriodMs = 1_000;
/** Names, and clients, counted for /top: whoever has more than one part in so many of the packets is among them. */
export const topCountersMax = 512;
/** Of these, shown. */
export const topShownMax = 50;
/** /top shows between the last half of this and all of it. */
export const topWindowMs = 300_000;
/** How often it is looked how late the event loop is; with the self-check, so that it wakes nobody. */
export const loopDelayPeriodMs = 1_000;
/** A question to ourselves is repeated this often within its timeout: a full receive queue loses packets. */
export const selfQueryTries = 4;

/** One answer's block: header, message, and a 16-bit TTL offset per record. */
export const blockHeaderBytes = 64;
export const blockBytesMax = blockHeaderBytes + messageBytesMax + 1 + 2 * recordsMax + 64;

assert(11 + 6 + extendedErrorTextBytesMax + 4 + nsidBytesMax + 6 <= optBytesMax);
assert(blockBytesMax <= slabBytes, 'the largest answer fits in a slab');
assert(queryDeadlineMs < 2_000, 'SERVFAIL comes within two seconds');
assert(queryDeadlineMs <= queryDeadlineCeilingMs);
assert(connectTimeoutMs < queryDeadlineMs, 'a failed connect leaves time for another try');
assert(udpBytesDefault >= plainUdpBytesMax);
assert(cacheBytesMax % slabBytes === 0, 'the cache is a whole number of slabs');
assert(cacheBytesMax < 2 ** 31, 'block references are 31 bits');
assert(waitersPerQuestionMax <= waitersMax);
assert(waitersMax * waiterQueryBytesMax <= 32 * 1024 * 1024, 'queries that wait leave room in a container of 128 MiB');
assert(headerBytes + nameBytesMax + 4 + 11 + 8 <= waiterQueryBytesMax, 'the stored part of a long query is short');
assert(receiveSlotBytes >= queryBytesMax, 'a query that fits over TCP is read over UDP');
assert(receiveSlotBytes % 64 === 0 && sendSlotBytes % 64 === 0, 'slots begin on cache lines');
assert(sampledPacketBytes >= headerBytes + nameBytesMax + 4 && sampledPacketBytes % 4 === 0);
assert(sampledPacketBytes <= receiveSlotBytes && (samplesMax & (samplesMax - 1)) === 0);
assert(receiveSlotBytes * 4 < ringBytes, 'every packet fits in an empty ring');
assert(receiveSlotBytes * 2 < (ringBytes / 2) * ringClientShare, 'every packet fits in the share of one client');
assert(ringMovedAtOnceMax <= handedOverMax);
assert(entriesChunkBytes + messageBytesMax + 32 * 1024 < handoverFrameBytesMax, 'a chunk fits in a frame');
assert(idQuarantineMs >= queryDeadlineMs);
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
assert(askAgainAfterMs + askAgainNextMs < queryDeadlineMs, 'two lost packets leave time for a third try');
assert(upstreamsPerForwardMax + learnedAddressesMax <= 30);
assert(askAgainLeast > connectionInflightMax, 'a dead connection can be replaced at any time');
