'use strict';
const net = require('node:net');
const http = require('node:http');
const https = require('node:https');
const http2 = require('node:http2');
const { WebSocket } = require('ws');
const { use } = require('./use.cjs');

void use({ net, http, https, http2, WebSocket });
