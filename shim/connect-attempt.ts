/**
 * One connect of one socket by STP, from the decision to 'connect' or to its error.
 *
 * A program may destroy the socket, or connect it anew, in any listener and between any two steps: each step asks first whether
 * the attempt is still the socket's (`current`).
 */
import net from 'node:net';
import { PF_STP, SOCK_STREAM, STPbind, STPconnect, StpError, STPsocket } from '../src/index';
import { familyOf, isOwnAddress, loopbackOf, type Target } from './addresses';
import { type Configuration } from './configuration';
import { connected } from './connect-end';
import { type ConnectOptions } from './connect-options';
import { type Connection } from './connection';
import { type Decision, decideForAddress } from './decision';
import { type InternalSocket } from './internals';
import { attemptOrder, firstValid, resolve, type Resolved, triesAll } from './lookup';
import { attemptsError, codedError, type Failure, failure, failureOf, hostPortError, type NodeError, unknownHostError } from './node-errors';
import { note } from './note';
import { type ReasonCode } from './reasons';
import { adopt, connectionOf, release } from './stp-socket';

const NO_DESCRIPTOR = -1;
const LOCALHOST: readonly Resolved[] = [{ address: loopbackOf(4), family: 4 }];
const ANY_ADDRESS = { 4: '0.0.0.0', 6: '::' } as const;

type StpDecision = Extract<Decision, { way: 'stp' }>;

export class Attempt {
  readonly socket: InternalSocket;
  readonly settings: Configuration;
  readonly options: ConnectOptions;
  /** Connects by TCP, to the host of the options or to an address that it was resolved to. */
  readonly #byNode: (address: string | undefined) => void;
  #connection: Connection | undefined;
  /** Where a lookup gave several addresses: those not tried yet, and what came of the others. */
  #several: { readonly left: string[]; readonly errors: NodeError[] } | undefined;

  constructor(socket: InternalSocket, settings: Configuration, options: ConnectOptions, byNode: (address: string | undefined) => void) {
    this.socket = socket;
    this.settings = settings;
    this.options = options;
    this.#byNode = byNode;
  }

  get what(): string {
    return `connect ${this.options.host}:${this.options.port}`;
  }

  /** Begins what was decided. The socket is connecting. */
  start(decision: Decision): void {
    if (decision.way === 'stp') {
      this.begin(decision, true);
      return;
    }
    this.#adopt(NO_DESCRIPTOR, undefined);
    note(this.socket, decision.way === 'lookup' ? decision.reason : 'MODE_STP', this.what);
    if (decision.way === 'lookup') this.#lookUp();
    else this.#soon(() => {
      this.#refuse(decision.way === 'refuse' && decision.name, decision.way === 'refuse' ? decision.error : undefined);
    });
  }

  /** STP only, and the address is none of STP. */
  refuse(): void {
    this.#refuse(false, undefined);
  }

  /** Makes the socket one of STP and connects it in the next tick, as Node does. `tell`: the name's address is still to be told as 'lookup'. */
  begin(decision: StpDecision, tell: boolean, address?: string): void {
    const { socket } = this;
    let descriptor: number;
    try {
      descriptor = STPsocket(PF_STP, SOCK_STREAM, PF_STP);
    } catch (error) {
      failureOf(error);
      if (decision.fallback) {
        this.#byTcp('REGION_UNUSABLE', error as Error, address);
        return;
      }
      this.#adopt(NO_DESCRIPTOR, decision.target.ip);
      this.#soon(() => {
        this.#fail(error, decision, address);
      });
      return;
    }
    this.#adopt(descriptor, decision.target.ip);
    note(socket, decision.reason, this.what);
    this.#soon(() => {
      this.#connect(decision, tell, address);
    });
  }

  #adopt(descriptor: number, ip: string | undefined): void {
    const before = this.#connection;
    const connection = adopt(this.socket, { descriptor, ip, localIp: this.options.localAddress });
    if (before !== undefined) {
      connection.succeed(before);
      before.close(false);
    }
    this.#connection = connection;
  }

  get #current(): Connection | undefined {
    const connection = this.#connection;
    return connection !== undefined && this.socket.connecting && connectionOf(this.socket) === connection ? connection : undefined;
  }

  /** For a socket that Node has begun to connect. */
  get stillConnecting(): boolean {
    return this.socket.connecting && this.socket._handle !== null;
  }

  /** In the next tick, in the socket's context, where the attempt is still the socket's. */
  #soon(step: () => void): void {
    process.nextTick(() => {
      this.#current?.run(step, undefined);
    });
  }

  #connect(decision: StpDecision, tell: boolean, address: string | undefined): void {
    const { socket, options } = this;
    const { system, ip, family, calledIp } = decision.target;
    if (tell && net.isIP(options.host) === 0) {
      socket._host = options.host;
      socket.emit('lookup', null, ip, family, options.host);
    }
    const connection = this.#current;
    if (connection === undefined || !this.#bind(connection, decision, address)) return;
    if (socket.blockList?.check(ip, family === 6 ? 'ipv6' : 'ipv4') === true) {
      socket.destroy(codedError('ERR_IP_BLOCKED', `IP(${ip}) is blocked by net.BlockList`));
      return;
    }
    this.#tellAttempt(ip, family);
    if (this.#current === undefined) return;
    if (options.port === 0) {
      this.#failWith(hostPortError(failure('ECONNREFUSED'), 'connect', ip, 0), decision.target);
      return;
    }
    STPconnect(connection.descriptor, { system, port: options.port, ip: calledIp }).then(
      () => {
        // Listeners must not run inside a promise: what they throw would be an unhandled rejection.
        process.nextTick(connected, socket, connection);
      },
      (error: unknown) => {
        this.#soon(() => {
          this.#fail(error, decision, address);
        });
      },
    );
  }

  /** The local address that the program asked for; false where it can't be had. */
  #bind(connection: Connection, decision: StpDecision, address: string | undefined): boolean {
    const { localAddress, localPort } = this.options;
    const local = localAddress ?? ANY_ADDRESS[decision.target.family];
    try {
      if (localAddress !== undefined && !isOwnAddress(localAddress)) throw new StpError('EADDRNOTAVAIL', undefined, 'STPbind');
      if (localPort !== undefined) STPbind(connection.descriptor, { port: localPort });
      return true;
    } catch (error) {
      const why = failureOf(error);
      if (decision.fallback) this.#byTcp('REGION_UNUSABLE', error as Error, address);
      else this.socket.destroy(hostPortError(why, 'bind', local, localPort ?? 0));
      return false;
    }
  }

  #fail(error: unknown, decision: StpDecision, address: string | undefined): void {
    const why = failureOf(error);
    if (decision.fallback) {
      this.#byTcp(why.code === 'ECONNREFUSED' ? 'NO_LISTENER' : 'REGION_UNUSABLE', error as Error, address);
      return;
    }
    const { localAddress, localPort, port } = this.options;
    const local = localAddress !== undefined && localPort !== undefined ? { address: localAddress, port: localPort } : undefined;
    this.#failWith(hostPortError(why, 'connect', decision.target.ip, port, local), decision.target);
  }

  #tellAttempt(ip: string, family: number): void {
    const { socket, options } = this;
    socket.emit('connectionAttempt', ip, options.port, family);
    if (this.#several !== undefined) socket.autoSelectFamilyAttemptedAddresses.push(`${ip}:${options.port}`);
  }

  #failWith(error: NodeError, { ip, family }: Pick<Target, 'ip' | 'family'>): void {
    const { socket } = this;
    socket.emit('connectionAttemptFailed', ip, this.options.port, family, error);
    const several = this.#several;
    if (several === undefined) {
      socket.destroy(error);
      return;
    }
    several.errors.push(error);
    if (this.#current === undefined) return;
    const next = several.left.shift();
    if (next === undefined) socket.destroy(attemptsError(several.errors));
    else this.#decideAgain(next);
  }

  #refuse(name: boolean, error: StpError | undefined): void {
    const { socket, options } = this;
    if (!name) {
      socket.destroy(hostPortError(error === undefined ? failure('ECONNREFUSED') : failureOf(error), 'connect', options.host, options.port));
      return;
    }
    const unknown = unknownHostError(options.host);
    socket.emit('lookup', unknown, undefined, undefined, options.host);
    socket.destroy(unknown);
  }

  /** STP did not come about: Node makes the connection. What the program set on the socket meanwhile stays. */
  #byTcp(reason: ReasonCode, error: Error, address: string | undefined): void {
    const { socket } = this;
    const connection = this.#connection;
    release(socket);
    connection?.close(false);
    note(socket, reason, this.what, error);
    this.#byNode(address);
    if (connection?.referenced === false) socket.unref();
  }

  /** STP only, and `localhost` or a `lookup` of the program's own: what it gives must be this system or one of the region. */
  #lookUp(): void {
    const { socket, options } = this;
    socket._host = options.host;
    resolve(options, (error, found) => {
      const connection = this.#current;
      if (connection === undefined) return;
      // A system without a list of hosts has a localhost nevertheless.
      const unlisted = error !== null && options.lookup === undefined;
      connection.run(() => {
        this.#lookedUp(unlisted ? null : error, unlisted ? LOCALHOST : found);
      }, undefined);
    });
  }

  #lookedUp(error: Error | null, found: readonly Resolved[]): void {
    const { socket, options } = this;
    if (error !== null) {
      socket.emit('lookup', error, undefined, undefined, options.host);
      process.nextTick(() => socket.destroy(error));
      return;
    }
    this.tellLookup(found);
    if (this.#current === undefined) return;
    const ip = firstValid(found);
    if (ip === undefined) {
      process.nextTick(() => socket.destroy(invalidAddressError(found[0], options)));
      return;
    }
    socket._unrefTimer();
    const [, ...left] = triesAll(options) ? attemptOrder(found) : [ip];
    if (left.length > 0) {
      this.#several = { left, errors: [] };
      Object.assign(socket, { autoSelectFamilyAttemptedAddresses: [] });
    }
    this.#decideAgain(ip);
  }

  #decideAgain(ip: string): void {
    try {
      const decision = decideForAddress(this.settings, this.options.host, this.options.port, ip);
      if (decision.way === 'stp') this.begin(decision, false, ip);
      else this.#failAt(ip, failure('ECONNREFUSED'));
    } catch (error) {
      this.#failAt(ip, failureOf(error));
    }
  }

  /** Nothing could even be tried at the address. */
  #failAt(ip: string, why: Failure): void {
    const error = hostPortError(why, 'connect', ip, this.options.port);
    if (this.#several === undefined) {
      this.socket.destroy(error);
      return;
    }
    const family = familyOf(ip);
    this.#tellAttempt(ip, family);
    this.#failWith(error, { ip, family });
  }

  /** 'lookup' for each address, as Node tells them. */
  tellLookup(found: readonly Resolved[]): void {
    for (const { address, family } of found) this.socket.emit('lookup', null, address, family, this.options.host);
  }
}

/** What net.js says of a lookup that gave no address to connect to: it looks at the first one. */
function invalidAddressError(found: Resolved | undefined, { host, port }: ConnectOptions): NodeError {
  const { address, family } = found ?? {};
  if (address === undefined || net.isIP(address) === 0) return codedError('ERR_INVALID_IP_ADDRESS', `Invalid IP address: ${address}`, TypeError);
  return Object.assign(codedError('ERR_INVALID_ADDRESS_FAMILY', `Invalid address family: ${family} ${host}:${port}`, RangeError), { host, port });
}
