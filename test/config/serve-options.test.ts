import assert from 'node:assert/strict';
import { test } from 'node:test';
import { choicesIn, type FlagName, flagOf, flagTable, readFlags } from '../../src/config/flag-reader.js';
import { parseFlags } from '../../src/config/flags.js';
import { findClusterDns, type ServeOptions, serveOptions, workerCount } from '../../src/config/serve-options.js';

const environment = { KUBE_DNS_SERVICE_HOST: '10.96.0.10' };
const optionsOf = (...argv: readonly string[]): ServeOptions => serveOptions(readFlags(argv), environment);

function refuses(argument: string, message: RegExp): void {
  assert.throws(
    () => optionsOf(argument),
    (error: Error) => {
      assert.match(error.message, message, argument);
      assert.match(error.message, /^[^\n]*[.?]$/, 'one sentence, one line');
      return true;
    },
  );
}

test('without flags everything has the documented default', () => {
  assert.deepEqual(optionsOf(), {
    localAddresses: ['169.254.20.10'],
    dnsPort: 53,
    clusterDns: { endpoint: { address: '10.96.0.10', port: 53 }, missing: null },
    workers: 1,
    corefilePath: '/etc/Corefile',
    corefileGiven: false,
    baseCorefilePath: '/etc/coredns/Corefile.base',
    baseCorefileGiven: false,
    kubeDnsFolder: '/etc/kube-dns',
    reloadWithSignal: false,
    setupInterface: true,
    interfaceName: 'nodelocaldns',
    setupRules: true,
    firewall: 'auto',
    syncIntervalMs: 60_000,
    skipTeardown: false,
    kernelLane: 'off',
    kernelLaneLingerMs: 120_000,
    kernelLaneFolder: '/sys/fs/bpf/zerohop',
    healthPort: 8080,
    metricsAddress: { address: '0.0.0.0', port: 9353 },
    formerMetricNames: true,
    pageAddress: null,
    prometheusAddress: ':9253',
    logFormat: 'auto',
    quiet: false,
    isDoctorOn: true,
    handoverPath: '/run/zerohop/handover.sock',
    controlPath: '/run/zerohop/control.sock',
    cacheFilePath: null,
    pidFilePath: null,
  });
});

test('what Kubernetes has not replaced is refused', () => {
  refuses('-localip=169.254.20.10,$(KUBE_DNS_SERVICE_HOST)', /^-localip has \$\(KUBE_DNS_SERVICE_HOST\), which/);
  refuses('-upstreamsvc=$(CLUSTER_DNS)', /^-upstreamsvc has \$\(CLUSTER_DNS\), which/);
});

test('the options cannot be changed', () => {
  const options = optionsOf();
  assert(Object.isFrozen(options));
  assert(Object.isFrozen(options.localAddresses));
  assert(Object.isFrozen(options.metricsAddress));
});

test('the command line of the NodeLocal DNSCache manifest is understood', () => {
  const options = serveOptions(
    readFlags(
      '-localip 169.254.20.10,10.96.0.10 -conf /etc/Corefile -upstreamsvc kube-dns-upstream -pidfile /tmp/node-cache.pid'.split(
        ' ',
      ),
    ),
    { KUBE_DNS_UPSTREAM_SERVICE_HOST: '10.96.0.11' },
  );
  assert.deepEqual(options.localAddresses, ['169.254.20.10', '10.96.0.10']);
  assert.equal(options.corefileGiven, true);
  assert.equal(options.clusterDns.endpoint?.address, '10.96.0.11');
  assert.equal(options.pidFilePath, '/tmp/node-cache.pid');
});

test('the command lines of charts and installers are understood', () => {
  const environment = { COREDNS_SERVICE_HOST: '10.0.0.1', NODE_LOCAL_DNS_UPSTREAM_SERVICE_HOST: '10.0.0.2' };
  const read = (line: string): ServeOptions => serveOptions(readFlags(line.split(' ')), environment);
  const kubespray = read('-localip 169.254.25.10 -conf /etc/Corefile -upstreamsvc coredns -skipteardown');
  assert.deepEqual([kubespray.clusterDns.endpoint?.address, kubespray.skipTeardown], ['10.0.0.1', true]);
  const deliveryhero = read(
    '-localip 169.254.20.25 -conf /etc/Corefile -upstreamsvc node-local-dns-upstream -skipteardown=true -setupinterface=false -setupiptables=false',
  );
  assert.deepEqual(
    [deliveryhero.clusterDns.endpoint?.address, deliveryhero.setupInterface, deliveryhero.setupRules],
    ['10.0.0.2', false, false],
  );
  const lablabs = read(
    '-localip 169.254.20.11 -skipteardown=true -setupinterface=false -setupiptables=false -quiet -health-port 8080 -upstreamsvc kube-dns -conf /etc/Corefile -syncinterval 1ns -metrics-listen-address 0.0.0.0:9353',
  );
  assert.deepEqual([lablabs.syncIntervalMs, lablabs.quiet, lablabs.clusterDns.endpoint], [1_000, true, null]);
});

test('local addresses are literal, of either family, in their shortest form and once', () => {
  assert.deepEqual(optionsOf('-localip=169.254.20.10, FD00:0::1,169.254.20.10,fd00::1').localAddresses, [
    '169.254.20.10',
    'fd00::1',
  ]);
  refuses('-localip=', /has an empty element/);
  refuses('-localip=169.254.20.10,', /"169.254.20.10," has an empty element/);
  refuses('-localip=169.254.20.10,,10.0.0.1', /has an empty element/);
  refuses('-localip=localhost', /"localhost" is not an IP address; write one like/);
  refuses('-localip=169.254.20.10/32', /is not an IP address/);
  refuses('-localip=169.254.20', /is not an IP address/);
  refuses('-localip=010.0.0.1', /is not an IP address/);
  refuses(
    `-localip=${Array.from({ length: 300 }, (_, host) => `10.0.${host >> 8}.${host & 255}`).join(',')}`,
    /has 300 addresses/,
  );
});

test('ports are from 1 to 65535', () => {
  assert.equal(optionsOf('-p', '1053').dnsPort, 1053);
  assert.equal(optionsOf('-dns.port=65535').dnsPort, 65535);
  assert.equal(optionsOf('-health-port', '9254').healthPort, 9254);
  for (const port of ['', '0', '65536', '-1', '53x', ' 53', '5.3', '0x35']) {
    refuses(`-dns.port=${port}`, /^-dns\.port ".*" is not a port; write a number from 1 to 65535\.$/);
    refuses(`-health-port=${port}`, /^-health-port /);
  }
});

test('workers are a number or one per core', () => {
  assert.equal(optionsOf('-workers=4').workers, 4);
  assert.equal(optionsOf('-workers=auto').workers, 'auto');
  for (const text of ['', '0', '-1', '65', '1.5', 'all', '1e1']) refuses(`-workers=${text}`, /write 1 to 64, or auto/);
  assert.deepEqual(
    [1, 2, 4, 8].map((cores) => workerCount('auto', cores)),
    [1, 2, 4, 4],
  );
  assert.equal(workerCount(8, 2), 8);
  assert.equal(workerCount('auto', 0), 1);
});

test('the interval between looks at the node is a duration within a day', () => {
  assert.equal(optionsOf('-syncinterval=60s').syncIntervalMs, 60_000);
  assert.equal(optionsOf('-syncinterval', '5').syncIntervalMs, 5_000);
  assert.equal(optionsOf('-syncinterval=24h').syncIntervalMs, 86_400_000);
  refuses('-syncinterval=0', /out of range; write a duration from 1s to 24h0m0s/);
  assert.equal(optionsOf('-syncinterval=1ns').syncIntervalMs, 1_000, "node-cache's nanosecond is a second");
  assert.equal(optionsOf('-syncinterval=60ns').syncIntervalMs, 60_000);
  refuses('-syncinterval=60us', /out of range/);
  refuses('-syncinterval=25h', /out of range/);
  refuses('-syncinterval=-5s', /^-syncinterval: "-5s" is negative/);
  refuses('-syncinterval=soon', /^-syncinterval: "soon" is not a duration/);
});

test('the link has a name that Linux takes', () => {
  assert.equal(optionsOf('-interfacename=nodelocaldns2').interfaceName, 'nodelocaldns2');
  assert.equal(optionsOf(`-interfacename=${'x'.repeat(15)}`).interfaceName.length, 15);
  for (const name of ['', '.', '..', 'a b', 'a/b', 'a:1', 'x'.repeat(16), 'é', 'a\n']) {
    refuses(`-interfacename=${name}`, /is not an interface name/);
  }
});

test('the log has one of three formats', () => {
  for (const name of ['auto', 'text', 'json']) assert.equal(optionsOf(`-logformat=${name}`).logFormat, name);
  refuses('-logformat=yaml', /^-logformat "yaml" is unknown; write auto, text or json\.$/);
  refuses('-logformat=', /unknown/);
});

test('the values that help and completion offer are those that are taken', () => {
  const flags = (Object.keys(flagTable) as FlagName[]).filter((name) => flagOf(name).kind === 'text');
  const closed = flags.filter((name) => choicesIn(flagOf(name).value).join('|') === flagOf(name).value);
  assert.deepEqual(closed.sort(), ['firewall', 'kernellane', 'logformat', 'output']);
  for (const name of flags) {
    for (const choice of choicesIn(flagOf(name).value))
      assert.notEqual(kindOf('check', `-${name}=${choice}`), 'usage', choice);
  }
  for (const name of closed) assert.equal(kindOf('check', `-${name}=other`), 'usage', name);
});

function kindOf(...argv: readonly string[]): string {
  return parseFlags(argv, environment).kind;
}

test('the kernel lane is off, on, or tried or removed instead of serving', () => {
  assert.equal(optionsOf().kernelLane, 'off');
  assert.equal(kindOf('-kernellane=try'), 'try lane');
  assert.equal(kindOf('-kernellane', 'off'), 'serve');
  for (const wish of ['on', 'beside'] as const) assert.equal(optionsOf(`-kernellane=${wish}`).kernelLane, wish);
  refuses('-kernellane=yes', /^-kernellane "yes" is unknown; write off, on, beside, try or remove\.$/);
  const remove = ['-kernellane=remove', '-kernellanefolder=/run/bpf/zerohop/'];
  assert.deepEqual(parseFlags(remove, environment), { kind: 'remove lane', folder: '/run/bpf/zerohop' });
});

test('the kernel goes on for an hour at most', () => {
  assert.equal(optionsOf('-kernellanelinger=0').kernelLaneLingerMs, 0);
  assert.equal(optionsOf('-kernellanelinger=1h').kernelLaneLingerMs, 3_600_000);
  refuses(
    '-kernellanelinger=61m',
    /^-kernellanelinger "61m" is too long; write a duration up to 1h0m0s, 0 for none\.$/,
  );
  refuses('-kernellanelinger=soon', /^-kernellanelinger: /);
});

test('the firewall is one that we can write', () => {
  for (const name of ['iptables', 'nftables', 'auto', 'none'] as const) {
    assert.equal(optionsOf(`-firewall=${name}`).firewall, name);
  }
  refuses('-firewall=ipvs', /^-firewall "ipvs" is unknown; write iptables, nftables, auto or none\.$/);
  refuses('-firewall=', /unknown/);
});

test('the metrics address may leave out the host, name localhost, or be nothing', () => {
  const address = (text: string): unknown => optionsOf(`-metrics-listen-address=${text}`).metricsAddress;
  assert.deepEqual(address('127.0.0.1:9000'), { address: '127.0.0.1', port: 9000 });
  assert.deepEqual(address('[::1]:9000'), { address: '::1', port: 9000 });
  assert.deepEqual(address(':9000'), { address: '::', port: 9000 });
  assert.deepEqual(address('localhost:9000'), { address: '127.0.0.1', port: 9000 });
  assert.equal(address(''), null);
  for (const text of ['9353', '0.0.0.0', '0.0.0.0:', '0.0.0.0:0', '0.0.0.0:99999', 'node:9353', '::1:9353', '[::1]']) {
    refuses(`-metrics-listen-address=${text}`, /is not an address and port; write ADDRESS:PORT, or :PORT/);
  }
});

test('the prometheus address is one word of a Corefile', () => {
  assert.equal(optionsOf('-prometheus-listen-address=0.0.0.0:9254').prometheusAddress, '0.0.0.0:9254');
  for (const text of ['', ':9253 {', 'a b', ':9253\n}', '{$X}', '#']) {
    assert.throws(
      () => optionsOf(`-prometheus-listen-address=${text}`),
      /is not an address; write ADDRESS:PORT or :PORT/,
      text,
    );
  }
});

test('an empty path turns off what may be off, and is refused where a path is needed', () => {
  const options = optionsOf('-handover=', '-cachefile=', '-pidfile=', '-kubednscm=');
  assert.deepEqual([options.handoverPath, options.cacheFilePath, options.pidFilePath], [null, null, null]);
  assert.equal(options.kubeDnsFolder, '/etc/kube-dns');
  refuses('-conf=', /^-conf is empty/);
  refuses('-basecorefile=', /^-basecorefile is empty/);
});

test('the hand-over socket has a path that fits into its address', () => {
  assert.equal(optionsOf(`-handover=/${'x'.repeat(106)}`).handoverPath?.length, 107);
  refuses(`-handover=/${'x'.repeat(107)}`, /longer than 107 bytes/);
  refuses(`-handover=/${'é'.repeat(54)}`, /longer than 107 bytes/);
  refuses(`-control=/${'x'.repeat(107)}`, /^-control is longer than 107 bytes/);
});

test('switches', () => {
  const options = optionsOf(
    '-setupinterface=false',
    '-setupiptables=false',
    '-skipteardown',
    '-reloadwithsignal',
    '-quiet',
  );
  assert.equal(options.setupInterface, false);
  assert.equal(options.setupRules, false);
  assert.equal(options.skipTeardown, true);
  assert.equal(options.reloadWithSignal, true);
  assert.equal(options.quiet, true);
});

test('an address is taken as it is written', () => {
  const found = (text: string): unknown => findClusterDns(text, {}).endpoint;
  assert.deepEqual(found('10.96.0.10'), { address: '10.96.0.10', port: 53 });
  assert.deepEqual(found('10.96.0.10:5353'), { address: '10.96.0.10', port: 5353 });
  assert.deepEqual(found('fd00:0::10'), { address: 'fd00::10', port: 53 });
  assert.deepEqual(found('[fd00::10]'), { address: 'fd00::10', port: 53 });
  assert.deepEqual(found('[fd00::10]:54'), { address: 'fd00::10', port: 54 });
});

test('a Service is found by the variables that Kubernetes gives a pod', () => {
  const environment = {
    KUBE_DNS_SERVICE_HOST: '10.96.0.10',
    KUBE_DNS_UPSTREAM_SERVICE_HOST: 'fd00::11',
    KUBE_DNS_UPSTREAM_SERVICE_PORT: '9153',
    KUBE_DNS_UPSTREAM_SERVICE_PORT_DNS: '5353',
  };
  assert.deepEqual(findClusterDns('kube-dns', environment), {
    endpoint: { address: '10.96.0.10', port: 53 },
    missing: null,
  });
  assert.deepEqual(findClusterDns('kube-dns-upstream', environment).endpoint, { address: 'fd00::11', port: 5353 });
});

test('what is missing is said, with what to do', () => {
  const { endpoint, missing } = findClusterDns('kube-dns-upstream', {});
  assert.equal(endpoint, null);
  assert.match(
    missing ?? '',
    /^KUBE_DNS_UPSTREAM_SERVICE_HOST is not set.*"kube-dns-upstream".*-upstreamsvc an address\.$/,
  );
  assert.match(findClusterDns('a', { A_SERVICE_HOST: '' }).missing ?? '', /is not set/);
  assert.match(
    findClusterDns('a', { A_SERVICE_HOST: 'None' }).missing ?? '',
    /A_SERVICE_HOST is "None", which is not an IP/,
  );
  for (const port of ['0', '65536', 'tcp://10.0.0.1:53']) {
    const environment = { A_SERVICE_HOST: '10.0.0.1', A_SERVICE_PORT_DNS: port };
    assert.match(
      findClusterDns('a', environment).missing ?? '',
      /A_SERVICE_PORT_DNS is ".*", which is not a port/,
      port,
    );
  }
});

test('what can be neither is refused', () => {
  for (const text of [
    '',
    ' ',
    'kube-dns:53',
    'kube_dns',
    '-dns',
    'dns-',
    'a.b',
    '10.96.0',
    '10.96.0.256',
    '10.96.0.10:0',
    '10.96.0.10:',
    '10',
    'kube-dns,other',
    'tls://1.1.1.1',
    '[fd00::1',
    '$(SERVICE)',
  ]) {
    assert.throws(() => findClusterDns(text, {}), /neither a Service name nor an address; write for example/, text);
  }
});
