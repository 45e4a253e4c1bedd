'use strict';
const net = require('stp-net');
const http = require('node:http');
const https = require('node:https');
const http2 = require('node:http2');
const { WebSocketServer } = require('ws');
const { serve } = require('./serve.cjs');

void serve({ net, http, https, http2, WebSocketServer });
