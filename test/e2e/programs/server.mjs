import net from 'node:net';
import http from 'node:http';
import https from 'node:https';
import http2 from 'node:http2';
import { WebSocketServer } from 'ws';
import { serve } from './serve.cjs';

await serve({ net, http, https, http2, WebSocketServer });
