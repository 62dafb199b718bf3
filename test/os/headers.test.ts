/**
 * The numbers and layouts by which we call the kernel, as the headers of each platform have them: a C file of
 * assertions is compiled, not run, so a compiler for arm64 does on any machine. The tests with real sockets show that
 * the code uses these numbers; this one shows that the same code is right elsewhere.
 */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { helpers, viewOfPacket } from '../../src/lane/text.js';
import { socketAddressBytes } from '../../src/os/addresses.js';
import { instructionBytes } from '../../src/os/reuseport-groups.js';
import { bpfCalls, epollLayouts, errors, linux, schedulerLayout } from '../../src/os/system-calls.js';
import { needs, run } from '../real/commands.js';

const constants: Record<keyof typeof linux, string> = {
  familyUnix: 'AF_UNIX',
  familyIpv4: 'AF_INET',
  familyIpv6: 'AF_INET6',
  familyNetlink: 'AF_NETLINK',
  netlinkRoute: '0',
  netlinkSocketDiagnosis: '4',
  raw: 'SOCK_RAW',
  stream: 'SOCK_STREAM',
  datagrams: 'SOCK_DGRAM',
  socketLevel: 'SOL_SOCKET',
  reuseAddress: 'SO_REUSEADDR',
  socketError: 'SO_ERROR',
  receiveBuffer: 'SO_RCVBUF',
  sendBuffer: 'SO_SNDBUF',
  reusePort: 'SO_REUSEPORT',
  peerCredentials: 'SO_PEERCRED',
  receiveTimeout: 'SO_RCVTIMEO',
  sendTimeout: 'SO_SNDTIMEO',
  sendBufferForce: 'SO_SNDBUFFORCE',
  receiveBufferForce: 'SO_RCVBUFFORCE',
  attachBpf: 'SO_ATTACH_BPF',
  attachReusePortProgram: 'SO_ATTACH_REUSEPORT_CBPF',
  detachReusePortProgram: 'SO_DETACH_REUSEPORT_BPF',
  ipLevel: 'IPPROTO_IP',
  ipPacketInfo: 'IP_PKTINFO',
  ipFreeBind: 'IP_FREEBIND',
  ipBindAddressNoPort: 'IP_BIND_ADDRESS_NO_PORT',
  ipv6Level: 'IPPROTO_IPV6',
  ipv6Only: 'IPV6_V6ONLY',
  ipv6ReceivePacketInfo: 'IPV6_RECVPKTINFO',
  ipv6FreeBind: 'IPV6_FREEBIND',
  tcpLevel: 'IPPROTO_TCP',
  tcpNoDelay: 'TCP_NODELAY',
  tcpQuickAcknowledge: 'TCP_QUICKACK',
  dontWait: 'MSG_DONTWAIT',
  waitForOne: 'MSG_WAITFORONE',
  pollIn: 'POLLIN',
  epollIn: 'EPOLLIN',
  epollOut: 'EPOLLOUT',
  epollAdd: 'EPOLL_CTL_ADD',
  epollDelete: 'EPOLL_CTL_DEL',
  epollModify: 'EPOLL_CTL_MOD',
};

const errorNames: Record<keyof typeof errors, string> = {
  noEntry: 'ENOENT',
  interrupted: 'EINTR',
  tryAgain: 'EAGAIN',
  noMemory: 'ENOMEM',
  tooManyOfAll: 'ENFILE',
  tooManyFiles: 'EMFILE',
  notPermitted: 'EACCES',
  badArgument: 'EINVAL',
  notConnected: 'ENOTCONN',
  noBuffers: 'ENOBUFS',
  isConnected: 'EISCONN',
  refused: 'ECONNREFUSED',
  already: 'EALREADY',
  inProgress: 'EINPROGRESS',
};

/** C expressions by what our code takes them for: system-calls.ts, message-batch.ts, addresses.ts and unix-sockets.ts. */
const ofTheLibrary: readonly (readonly [expression: string, value: number])[] = [
  ['sizeof(void *)', 8],
  ['__BYTE_ORDER__', 1234],
  ['SOCK_CLOEXEC', 0o2000000],
  ['SOCK_NONBLOCK', 0o4000],
  ['EFD_CLOEXEC | EFD_NONBLOCK', 0o2004000],
  ['MSG_CMSG_CLOEXEC', 0x40000000],
  ['MSG_NOSIGNAL', 0x4000],
  ['SCM_RIGHTS', 1],
  ['SHUT_RD', 0],
  ['SHUT_WR', 1],
  ['EPOLL_CLOEXEC', 0o2000000],
  ['offsetof(struct epoll_event, events)', 0],
  ['sizeof(struct mmsghdr)', 64],
  ['sizeof(struct msghdr)', 56],
  ['offsetof(struct msghdr, msg_name)', 0],
  ['offsetof(struct msghdr, msg_namelen)', 8],
  ['offsetof(struct msghdr, msg_iov)', 16],
  ['offsetof(struct msghdr, msg_iovlen)', 24],
  ['offsetof(struct msghdr, msg_control)', 32],
  ['offsetof(struct msghdr, msg_controllen)', 40],
  ['offsetof(struct mmsghdr, msg_len)', 56],
  ['sizeof(struct iovec)', 16],
  ['offsetof(struct iovec, iov_len)', 8],
  ['sizeof(struct cmsghdr)', 16],
  ['offsetof(struct cmsghdr, cmsg_level)', 8],
  ['offsetof(struct cmsghdr, cmsg_type)', 12],
  ['offsetof(struct in_pktinfo, ipi_ifindex)', 0],
  ['offsetof(struct in6_pktinfo, ipi6_ifindex)', 16],
  ['CMSG_SPACE(sizeof(struct in6_pktinfo)) <= 48', 1],
  ['sizeof(struct sockaddr_in6)', socketAddressBytes],
  ['offsetof(struct sockaddr_in, sin_port)', 2],
  ['offsetof(struct sockaddr_in, sin_addr)', 4],
  ['offsetof(struct sockaddr_in6, sin6_addr)', 8],
  ['offsetof(struct sockaddr_in6, sin6_scope_id)', 24],
  ['offsetof(struct sockaddr_un, sun_path)', 2],
  ['sizeof(struct timeval)', 16],
  ['offsetof(struct timeval, tv_usec)', 8],
  ['sizeof(struct ucred)', 12],
  ['offsetof(struct ucred, uid)', 4],
  ['sizeof(struct pollfd)', 8],
  ['offsetof(struct pollfd, events)', 4],
  ['offsetof(struct pollfd, revents)', 6],
  ...Object.entries(constants).map(([name, macro]) => [macro, linux[name as keyof typeof linux]] as const),
  ...Object.entries(errorNames).map(([name, macro]) => [`-${macro}`, errors[name as keyof typeof errors]] as const),
];

/** The kernel's own headers: sock-diag.ts, links.ts, and the programs of reuseport-groups.ts. */
const ofTheKernel: typeof ofTheLibrary = [
  ['NETLINK_SOCK_DIAG', linux.netlinkSocketDiagnosis],
  ['NETLINK_ROUTE', linux.netlinkRoute],
  ['NLM_F_REQUEST', 1],
  ['RTM_NEWLINK', 16],
  ['RTM_GETLINK', 18],
  ['sizeof(struct ifinfomsg)', 16],
  ['offsetof(struct ifinfomsg, ifi_index)', 4],
  ['IFLA_IFNAME', 3],
  ['IFLA_LINKINFO', 18],
  ['IFLA_INFO_KIND', 1],
  ['NLA_TYPE_MASK & 0xffff', 0x3fff],
  ['sizeof(struct nlmsghdr)', 16],
  ['NLMSG_ERROR', 2],
  ['NLMSG_DONE', 3],
  ['NLM_F_REQUEST | NLM_F_DUMP', 0x301],
  ['SOCK_DIAG_BY_FAMILY', 20],
  ['sizeof(struct inet_diag_req_v2)', 56],
  ['offsetof(struct inet_diag_req_v2, idiag_states)', 4],
  ['offsetof(struct inet_diag_req_v2, id.idiag_sport)', 8],
  ['sizeof(struct inet_diag_msg)', 72],
  ['offsetof(struct inet_diag_msg, id.idiag_sport)', 4],
  ['offsetof(struct inet_diag_msg, id.idiag_src)', 8],
  ['offsetof(struct inet_diag_msg, idiag_inode)', 68],
  ['sizeof(struct sock_fprog)', 16],
  ['offsetof(struct sock_fprog, filter)', 8],
  ['sizeof(struct sock_filter)', instructionBytes],
  ['offsetof(struct sock_filter, jt)', 2],
  ['offsetof(struct sock_filter, jf)', 3],
  ['offsetof(struct sock_filter, k)', 4],
  ['SKF_NET_OFF', -0x100000],
  ['BPF_LD | BPF_W | BPF_ABS', 0x20],
  ['BPF_LD | BPF_H | BPF_ABS', 0x28],
  ['BPF_LD | BPF_B | BPF_ABS', 0x30],
  ['BPF_MISC | BPF_TAX', 0x07],
  ['BPF_ALU | BPF_MUL | BPF_K', 0x24],
  ['BPF_ALU | BPF_RSH | BPF_K', 0x74],
  ['BPF_ALU | BPF_MOD | BPF_K', 0x94],
  ['BPF_ALU | BPF_XOR | BPF_X', 0xac],
  ['BPF_JMP | BPF_JA', 0x05],
  ['BPF_JMP | BPF_JEQ | BPF_K', 0x15],
  ['BPF_RET | BPF_K', 0x06],
];

/** bpf(2) as os/bpf.ts calls it, and what the programs of src/lane/ know of the kernel. */
function ofBpf(processor: keyof typeof bpfCalls): typeof ofTheLibrary {
  return [
    ['__NR_bpf', bpfCalls[processor]],
    ['BPF_MAP_CREATE', 0],
    ['BPF_MAP_LOOKUP_ELEM', 1],
    ['BPF_MAP_UPDATE_ELEM', 2],
    ['BPF_MAP_DELETE_ELEM', 3],
    ['BPF_MAP_GET_NEXT_KEY', 4],
    ['BPF_PROG_LOAD', 5],
    ['BPF_OBJ_PIN', 6],
    ['BPF_OBJ_GET', 7],
    ['BPF_PROG_QUERY', 16],
    ['BPF_LINK_UPDATE', 29],
    ['BPF_ATOMIC', 0xc0],
    ['BPF_F_INGRESS', 1],
    ['BPF_F_CURRENT_NETNS', -1],
    ['BPF_PROG_TEST_RUN', 10],
    ['BPF_LINK_CREATE', 28],
    ['BPF_MAP_TYPE_ARRAY', 2],
    ['BPF_MAP_TYPE_PERCPU_ARRAY', 6],
    ['BPF_MAP_TYPE_LRU_HASH', 9],
    ['BPF_F_MMAPABLE', 1 << 10],
    ['BPF_PROG_TYPE_SCHED_CLS', 3],
    ['BPF_PSEUDO_MAP_FD', 1],
    ['offsetof(union bpf_attr, map_flags)', 16],
    ['offsetof(union bpf_attr, map_name)', 28],
    ['offsetof(union bpf_attr, key)', 8],
    ['offsetof(union bpf_attr, value)', 16],
    ['offsetof(union bpf_attr, insn_cnt)', 4],
    ['offsetof(union bpf_attr, insns)', 8],
    ['offsetof(union bpf_attr, license)', 16],
    ['offsetof(union bpf_attr, log_level)', 24],
    ['offsetof(union bpf_attr, log_buf)', 32],
    ['offsetof(union bpf_attr, prog_name)', 48],
    ['offsetof(union bpf_attr, test.retval)', 4],
    ['offsetof(union bpf_attr, test.data_size_in)', 8],
    ['offsetof(union bpf_attr, test.data_size_out)', 12],
    ['offsetof(union bpf_attr, test.data_in)', 16],
    ['offsetof(union bpf_attr, test.data_out)', 24],
    ['offsetof(union bpf_attr, test.repeat)', 32],
    ['offsetof(union bpf_attr, test.duration)', 36],
    ['offsetof(union bpf_attr, pathname)', 0],
    ['offsetof(union bpf_attr, bpf_fd)', 8],
    ['offsetof(union bpf_attr, next_key)', 16],
    ['offsetof(union bpf_attr, query.attach_type)', 4],
    ['offsetof(union bpf_attr, query.prog_cnt)', 24],
    ['offsetof(union bpf_attr, link_update.new_prog_fd)', 4],
    ['offsetof(union bpf_attr, link_create.target_ifindex)', 4],
    ['offsetof(union bpf_attr, link_create.attach_type)', 8],
    ['offsetof(union bpf_attr, link_create.flags)', 12],
    ['offsetof(struct __sk_buff, len)', viewOfPacket.bytes],
    ['offsetof(struct __sk_buff, mark)', viewOfPacket.mark],
    ['offsetof(struct __sk_buff, priority)', viewOfPacket.priority],
    ['offsetof(struct __sk_buff, protocol)', viewOfPacket.protocol],
    ['offsetof(struct __sk_buff, vlan_present)', viewOfPacket.vlanPresent],
    ['offsetof(struct __sk_buff, ifindex)', viewOfPacket.interfaceIndex],
    ['BPF_FUNC_map_lookup_elem', helpers.lookUp],
    ['BPF_FUNC_map_update_elem', helpers.update],
    ['BPF_FUNC_csum_diff', helpers.checksum],
    ['BPF_FUNC_skb_load_bytes_relative', helpers.loadBytesRelative],
    ['BPF_HDR_START_NET', 1],
    ['BPF_PROG_TYPE_SOCKET_FILTER', 1],
    ['BPF_FUNC_skb_store_bytes', helpers.storeBytes],
    ['BPF_FUNC_redirect', helpers.redirect],
    ['BPF_FUNC_clone_redirect', helpers.cloneRedirect],
    ['BPF_FUNC_sk_lookup_udp', helpers.lookUpSocket],
    ['BPF_FUNC_sk_release', helpers.releaseSocket],
    ['sizeof(((struct bpf_sock_tuple *)0)->ipv4)', 12],
    ['sizeof(((struct bpf_sock_tuple *)0)->ipv6)', 36],
    ['BPF_FUNC_skb_load_bytes', helpers.loadBytes],
    ['BPF_FUNC_skb_change_tail', helpers.changeTail],
    ['BPF_FUNC_redirect_peer', helpers.redirectPeer],
    ['BPF_FUNC_ktime_get_coarse_ns', helpers.coarseNow],
  ];
}

/** The number of sched_setattr, and the part of its argument that we write. */
function ofScheduler(processor: keyof typeof schedulerLayout.calls): typeof ofTheLibrary {
  const { bytes, atRuntime, calls } = schedulerLayout;
  return [
    ['__NR_sched_setattr', calls[processor]],
    ['SCHED_ATTR_SIZE_VER0', bytes],
    ['offsetof(struct sched_attr, sched_runtime)', atRuntime],
  ];
}

const libraryHeaders = [
  'errno',
  'netinet/in',
  'netinet/tcp',
  'poll',
  'stddef',
  'sys/epoll',
  'sys/eventfd',
  'sys/socket',
  'sys/time',
  'sys/uio',
  'sys/un',
];
const kernelHeaders = [
  'asm/unistd',
  'stddef',
  'linux/bpf',
  'linux/filter',
  'linux/inet_diag',
  'linux/netlink',
  'linux/rtnetlink',
  'linux/sched/types',
  'linux/sock_diag',
];

/** The only layout here that differs between processors. */
function ofEpoll(processor: keyof typeof epollLayouts): typeof ofTheLibrary {
  const { words, dataWord } = epollLayouts[processor];
  return [
    ['sizeof(struct epoll_event)', 4 * words],
    ['offsetof(struct epoll_event, data.u32)', 4 * dataWord],
  ];
}

/** What the compiler has against these assertions. */
async function objections(
  compiler: string,
  headers: readonly string[],
  expected: typeof ofTheLibrary,
): Promise<string> {
  const folder = mkdtempSync(join(tmpdir(), 'zerohop-headers-'));
  try {
    const file = join(folder, 'assertions.c');
    const lines = expected.map(
      ([expression, value]) => `_Static_assert((${expression}) == (${value}), "${expression}");`,
    );
    writeFileSync(
      file,
      ['#define _GNU_SOURCE', ...headers.map((name) => `#include <${name}.h>`), ...lines, ''].join('\n'),
    );
    const { status, stderr } = await run([compiler, '-std=gnu11', '-fsyntax-only', file]);
    assert.equal(status === 0, stderr === '', stderr);
    return stderr;
  } finally {
    rmSync(folder, { recursive: true });
  }
}

const processor = process.arch === 'arm64' ? 'arm64' : 'x64';

for (const [platform, compiler, hasKernelHeaders, layout] of [
  ['this machine', 'gcc', true, processor],
  ['musl', 'musl-gcc', false, processor],
  ['arm64', 'aarch64-linux-gnu-gcc', true, 'arm64'],
] as const) {
  test(`the headers of ${platform} have our numbers and layouts`, { skip: needs(compiler) }, async () => {
    assert.equal(await objections(compiler, libraryHeaders, [...ofTheLibrary, ...ofEpoll(layout)]), '');
    if (hasKernelHeaders) {
      assert.equal(
        await objections(compiler, kernelHeaders, [...ofTheKernel, ...ofScheduler(layout), ...ofBpf(layout)]),
        '',
      );
    }
    assert.match(await objections(compiler, libraryHeaders, [['SO_REUSEPORT', 512]]), /SO_REUSEPORT/u);
  });
}
