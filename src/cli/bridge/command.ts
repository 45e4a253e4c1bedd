/** The command line of `stp bridge`: what it takes, and how `stp bridge --help` teaches it. */
import { type Command, Help } from 'commander';
import { type PlaceOptions, REGION } from '../region-option';
import { addCtl } from './ctl-command';

export interface BridgeCommandOptions extends PlaceOptions {
  readonly local: readonly string[];
  readonly remote: readonly string[];
  readonly udp: readonly string[];
  readonly socks: readonly string[];
  readonly http: readonly string[];
  readonly stdio?: string;
  readonly acceptProxy: readonly string[];
  readonly sendProxy: readonly string[];
  readonly sendProxyV2: readonly string[];
  readonly config?: string;
  readonly control?: string;
  readonly allow: readonly string[];
  readonly deny: readonly string[];
  readonly authFile?: string;
  readonly connectTimeout: string;
  readonly handshakeTimeout: string;
  readonly idleTimeout: string;
  readonly keepAlive: string;
  readonly maxRate?: string;
  readonly retry: string;
  readonly maxConnections: string;
  readonly maxFlows: string;
  readonly flowTimeout: string;
  readonly drain: string;
  readonly pidFile?: string;
  readonly verbose?: boolean;
  readonly json?: boolean;
}

const collected = (value: string, before: readonly string[]): string[] => [...before, value];
const NONE: readonly string[] = [];

/** Adds the command to those of `stp`. */
export function addBridge(stp: Command): void {
  const command = stp
    .command('bridge')
    .summary('let programs that are not Node take part, by forwards as ssh has them')
    // An empty list is no default that is worth telling.
    .configureHelp({
      optionDescription: (option) =>
        Array.isArray(option.defaultValue) ? option.description : new Help().optionDescription(option),
    })
    .description(
      'Forwards connections between TCP and the region until it is ended. Forwards can be repeated and mixed. ' +
        'A path of a Unix socket can stand wherever a TCP port can; port 0 chooses one and prints it. ' +
        'Listens at loopback alone, unless told.',
    )
    .option('-L, --local <forward>', '[bind:]port:system:port: TCP in, the region out', collected, NONE)
    .option('-R, --remote <forward>', '[port:]host:port: the region in, TCP out; a port alone: SOCKS', collected, NONE)
    .option(
      '-U, --udp <forward>',
      '[bind:]port:system:port: UDP in, the region to -R udp:[port:]host:port',
      collected,
      NONE,
    )
    .option('-D, --socks <address>', '[bind:]port: SOCKS 4, 4a and 5 into the region', collected, NONE)
    .option('-H, --http <address>', '[bind:]port: an HTTP proxy into the region', collected, NONE)
    .option('-W, --stdio <target>', 'system:port: standard input and output, for ProxyCommand of ssh and for inetd')
    .option('--allow <target>', 'name:port: only such targets; * stands for any, 80-90 for a range', collected, NONE)
    .option('--deny <target>', 'name:port: no such targets, whatever is allowed', collected, NONE)
    .option('--auth-file <file>', 'lines of name:password that clients of -D and -H must know')
    .option(
      '--accept-proxy <side>',
      'clients of that side begin with a header of the PROXY protocol; local: of -L, -D and -H; remote: of -R',
      collected,
      NONE,
    )
    .option('--send-proxy <side>', 'targets of that side get such a header, of version 1', collected, NONE)
    .option('--send-proxy-v2 <side>', 'the same, of version 2', collected, NONE)
    .option('--connect-timeout <seconds>', 'for a target to accept', '30')
    .option('--handshake-timeout <seconds>', 'for a client of -D and -H to say what it wants', '10')
    .option('--idle-timeout <seconds>', 'connections that are silent for so long are reset; 0: never', '0')
    .option('--keep-alive <seconds>', 'TCP asks a silent other end after so long whether it is there; 0: never', '60')
    .option('--retry <seconds>', 'call a target that is not there again for so long', '0')
    .option('--max-rate <bytes>', 'a second, for all connections and both directions; 500K, 10M, 1G')
    .option('--max-connections <number>', 'more are reset', '10000')
    .option('--max-flows <number>', 'UDP clients (and SOCKS targets) at a time; others get no answer', '1024')
    .option('--flow-timeout <seconds>', 'a UDP client that is silent for so long is forgotten', '60')
    .option('--drain <seconds>', 'after SIGTERM what is connected has so long to end', '10')
    .option('--config <file>', 'options, one a line with its value; read again when it changes, and at SIGHUP')
    .option('--control <path>', 'socket for stp bridge ctl (else one that only this user finds)')
    .option('--pid-file <file>', 'write the process id there once all listen')
    .option(...REGION)
    .option('--driver <driver>', 'auto, mapped or direct (else STP_DRIVER)')
    .option('--system <name>', 'name of this system in the region (else STP_SYSTEM, else the host name)')
    .option('--group <name>', 'transport group of the ports (else STP_GROUP, else STG)')
    .option('-v, --verbose', 'print each connection to standard error')
    .option('--json', 'print one JSON document for each event')
    .addHelpText(
      'after',
      '\nExamples:\n' +
        '  stp bridge -R 6379:localhost:6379            redis becomes port 6379 of this system in the region\n' +
        '  stp bridge -L 6379:dbhost:6379               redis-cli on another host reaches it at its own localhost\n' +
        '  stp bridge -R udp:5300:localhost:53          DNS becomes port 5300 of this system in the region\n' +
        '  stp bridge -U 5353:dnshost:5300              dig @localhost -p 5353 on another host reaches it\n' +
        "  ssh -o ProxyCommand='stp bridge -W %h:%p' b  ssh where there is no network\n" +
        '  stp bridge -D 1080                           curl --proxy socks5h://localhost:1080 http://dbhost/\n' +
        '  stp bridge ctl add -L 5432:dbhost:5432       one more forward for the bridge that runs',
    )
    .action(async (options: BridgeCommandOptions) => {
      // A file of its own: no other command loads the library.
      const { bridge } = await import('./serve.js');
      await bridge(options, command);
    });
  addCtl(command);
}
