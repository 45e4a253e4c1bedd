/** What `stp bridge ctl` asks of a running bridge, and what it is answered: one line of JSON each. */
import { type Forward, type ForwardStatus } from '../../bridge';

export type ControlRequest =
  | { readonly command: 'add' | 'remove'; readonly lines: readonly string[] }
  | { readonly command: 'list' }
  | { readonly command: 'stop'; readonly drain?: string };

export interface ControlFailure {
  readonly error: string;
  readonly exitCode: number;
  readonly hint?: string | undefined;
}

export interface ForwardReport extends Omit<ForwardStatus, 'error' | 'traffic'> {
  /** One line for people. */
  readonly shown: string;
  readonly error?: string | undefined;
  readonly connections: number;
  readonly accepted: number;
  readonly refused: number;
  readonly sentBytes: number;
  readonly receivedBytes: number;
}

export interface BridgeReport {
  readonly pid: number;
  readonly uptimeMs: number;
  readonly connections: number;
  readonly forwards: readonly ForwardReport[];
  readonly allow: readonly string[];
  readonly deny: readonly string[];
}

/** Of add and remove. */
export interface ChangeReport {
  readonly forwards: readonly { readonly shown: string; readonly forward: Forward }[];
}

export type ControlReply = ControlFailure | BridgeReport | ChangeReport | { readonly connections: number };

export const LINE_MAX_BYTES = 65_536;

/** A request that was read; undefined for anything else. */
export function requestOf(text: string): ControlRequest | undefined {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return undefined;
  }
  if (typeof value !== 'object' || value === null) return undefined;
  const { command, lines, drain } = value as Record<string, unknown>;
  if (command === 'list') return { command };
  if (command === 'stop' && (drain === undefined || typeof drain === 'string'))
    return drain === undefined ? { command } : { command, drain };
  if ((command === 'add' || command === 'remove') && Array.isArray(lines) && lines.length > 0)
    return lines.every((line) => typeof line === 'string') ? { command, lines } : undefined;
  return undefined;
}
