import net from 'node:net';
import http from 'node:http';
import https from 'node:https';
import http2 from 'node:http2';
import { WebSocket } from 'ws';
import { use } from './use.cjs';

await use({ net, http, https, http2, WebSocket });
