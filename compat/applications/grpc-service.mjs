/** The service of both ends, without a schema: messages are JSON. */
const serialize = (value) => Buffer.from(JSON.stringify(value));
const deserialize = (buffer) => JSON.parse(buffer.toString());
const method = (name, requestStream, responseStream) => ({
  path: `/stp.Trial/${name}`,
  requestStream,
  responseStream,
  requestSerialize: serialize,
  requestDeserialize: deserialize,
  responseSerialize: serialize,
  responseDeserialize: deserialize,
});

export const service = {
  echo: method('echo', false, false),
  count: method('count', false, true),
  sum: method('sum', true, false),
  chat: method('chat', true, true),
};
