/**
 * `stp-net/register`: installs the hook. For --require, --import and NODE_OPTIONS; forked processes and workers inherit it.
 *
 * Loads no call library and opens no region before the first socket that STP could carry, adds no globals and no listeners of signals.
 */
import { install } from './hook';

install();
