/**
 * The execution stream: how an execution's output travels, over HTTP and over a WebSocket.
 *
 * `Accept: application/x-ndjson` (the default, for people with curl): one JSON object a line,
 * `{"type":"started","execution":…}`, `{"type":"stdout"|"stderr","offset":n,"data":"…"}` (`"encoding":"base64"` when the
 * bytes are not UTF-8), `{"type":"ended","execution":…}`, or `{"type":"error","error":…}`; `{"type":"gap","offset":n}` where output is not kept any more; `{"type":"ping"}` when quiet.
 *
 * `Accept: application/vnd.caisson.stream`: records of u8 kind, u32 little-endian length, payload; kinds below.
 *
 * WebSocket, binary messages of u8 kind and payload: the server sends the same kinds, the client the others.
 *
 * The offset of an output record is the number of output bytes (stdout and stderr together, in the order in which
 * they came) before it; after a broken connection a client continues from the last offset that it has.
 */
export const STREAM_TYPE = 'application/vnd.caisson.stream'
export const NDJSON_TYPE = 'application/x-ndjson'
export const WEBSOCKET_PROTOCOL = 'caisson.v1'

export const StreamKind = {
  /** Nothing; keeps proxies awake. Sent after 15 quiet seconds. */
  PING: 0,
  /** Payload: bytes. */
  STDOUT: 1,
  /** Payload: bytes. */
  STDERR: 2,
  /** Payload: JSON, `{"execution": Execution, "offset": number}`; the offset at which this stream begins. */
  STARTED: 3,
  /** Payload: JSON, `{"execution": Execution}`; the last record. */
  ENDED: 4,
  /** Payload: JSON, an error body; the last record. */
  ERROR: 5,
  /** Payload: JSON, `{"offset": number}`: what was before it is not kept any more; the stream goes on at this offset. */
  GAP: 6,
  /** Client, WebSocket: bytes for stdin. */
  STDIN: 16,
  /** Client, WebSocket: end of stdin. */
  STDIN_CLOSE: 17,
  /** Client, WebSocket: JSON, `{"cols": number, "rows": number}`. */
  RESIZE: 18,
  /** Client, WebSocket: JSON, `{"signal": "SIGINT", "scope": "group"}`. */
  SIGNAL: 19,
} as const
export type StreamKind = (typeof StreamKind)[keyof typeof StreamKind]

export const STREAM_HEADER = 5
/** Largest payload of a record; a reader refuses more. */
export const STREAM_MAX_RECORD = 1_048_576
