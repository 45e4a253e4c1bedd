// An ordinary client of an echo server, as anyone would write it for TCP. Sends a long sequence of bytes over one
// connection, checks that the very same sequence comes back, and prints one line of JSON; exits with 1 when it does
// not. usage: node echo-client.js [PORT] [BYTES]
'use strict';

const assert = require('node:assert/strict');
const crypto = require('node:crypto');
const net = require('node:net');
const { performance } = require('node:perf_hooks');

const port = Number(process.argv[2] ?? 3000);
const total = Number(process.argv[3] ?? 64 * 1024 * 1024);

const cipher = crypto.createCipheriv('aes-128-ctr', Buffer.alloc(16, 7), Buffer.alloc(16));
const zeros = Buffer.alloc(65536);
const sent = crypto.createHash('sha256');
const received = crypto.createHash('sha256');
let sentBytes = 0;
let receivedBytes = 0;
let longestPauseMs = 0;
let lastAt = performance.now();

const socket = net.connect(port, 'localhost');

function send() {
  while (sentBytes < total) {
    const chunk = cipher.update(zeros.subarray(0, Math.min(zeros.length, total - sentBytes)));
    sent.update(chunk);
    sentBytes += chunk.length;
    if (!socket.write(chunk)) return;
  }
  socket.off('drain', send);
  socket.end();
}

socket.on('connect', send);
socket.on('drain', send);
socket.on('data', (chunk) => {
  const now = performance.now();
  if (receivedBytes > 0) longestPauseMs = Math.max(longestPauseMs, now - lastAt);
  lastAt = now;
  received.update(chunk);
  receivedBytes += chunk.length;
});
socket.on('end', () => {
  const sha256 = received.digest('hex');
  assert.equal(receivedBytes, total);
  assert.equal(sha256, sent.digest('hex'));
  console.log(JSON.stringify({ bytes: receivedBytes, sha256, longestPauseMs: Math.round(longestPauseMs) }));
});
socket.on('error', (error) => {
  console.error(`after ${sentBytes} bytes sent and ${receivedBytes} received: ${error.stack}`);
  process.exit(1);
});
