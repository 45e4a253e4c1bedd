/**
 * What is loaded late. A preload runs in every process that Node starts, and most of them never open a socket that STP could carry: until the
 * first decision the hook costs a few small files, and neither the call library nor a region.
 */
/* eslint-disable @typescript-eslint/no-require-imports -- the point of this file: a static import would load at once */

import type * as Calls from '../src/index';
import type * as Rules from './rules';
import type * as Translator from './translator';
import type childProcess from 'node:child_process';
import type tls from 'node:tls';

/** The call library. Throws an ESTPCONFIG StpError where the environment of its trace is wrong. */
export function loadCalls(): typeof Calls {
  return require('../src/index') as typeof Calls;
}

/** The parser of STP_RULES. */
export function loadRules(): typeof Rules {
  return require('./rules') as typeof Rules;
}

let translator: typeof Translator | undefined;

/** The translator, and with it the call library. */
export function loadTranslator(): typeof Translator {
  return (translator ??= require('./translator') as typeof Translator);
}

/** `node:child_process`: takes a millisecond to load where the program does not need it. */
export function loadChildProcess(): typeof childProcess {
  return require('node:child_process') as typeof childProcess;
}

/** `node:tls`; undefined where Node was built without it. */
export function loadTls(): typeof tls | undefined {
  try {
    return require('node:tls') as typeof tls;
  } catch {
    return undefined;
  }
}
