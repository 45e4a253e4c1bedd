/** Tokens of given sockets: where the socket is, and a secret that can't be guessed. Printable, without spaces. */
import { StpError } from '../errors';
import { SECRET_BYTES } from '../engine';

interface TokenParts {
  readonly process: number;
  readonly epoch: number;
  readonly socket: number;
  readonly generation: number;
  readonly secret: Uint8Array;
}

const FORM = /^stp1\.(\d{1,10})\.(\d{1,16})\.(\d{1,7})\.(\d{1,10})\.([A-Za-z0-9_-]{43})$/u;

export function encodeToken({ process, epoch, socket, generation, secret }: TokenParts): string {
  return `stp1.${process}.${epoch}.${socket}.${generation}.${Buffer.from(secret).toString('base64url')}`;
}

/** EINVAL for anything that no STPgivesocket returned; the message never repeats the secret. */
export function decodeToken(call: string, token: unknown): TokenParts {
  const parts = typeof token === 'string' ? FORM.exec(token) : null;
  if (parts === null) throw new StpError('EINVAL', 'token must be what STPgivesocket returned', call);
  const secret = Buffer.from(parts[5] ?? '', 'base64url');
  if (secret.length !== SECRET_BYTES) throw new StpError('EINVAL', 'token must be what STPgivesocket returned', call);
  return {
    process: Number(parts[1]),
    epoch: Number(parts[2]),
    socket: Number(parts[3]),
    generation: Number(parts[4]),
    secret,
  };
}
