import type { Generated } from 'kysely'
import type {
  DestinationRecord,
  EventRecord,
  ExecutionRecord,
  KeyRecord,
  SandboxRecord,
  SshKeyRecord,
  UsageRecord,
} from '../../core/records.ts'
import { type Codec, codec, type Row } from './codec.ts'

/** "CAIS": tells this database from any other SQLite file. */
export const APPLICATION_ID = 0x4341_4953

/** `seq` is the order of insertion; it breaks ties of every sort. */
type Table<R> =
  R extends Codec<infer Record, infer Json, infer Bool>
    ? Row<Record, Json, Bool> & { seq: Generated<number> }
    : never

export const sandboxCodec = codec<SandboxRecord>()(
  ['metadata', 'env', 'asked', 'granted', 'network', 'ports', 'trafficBefore', 'ending'],
  [],
)
export const executionCodec = codec<ExecutionRecord>()(['argv', 'env', 'tty'], ['stdin', 'outputTruncated'])
export const eventCodec = codec<EventRecord>()(['payload'], [])
export const keyCodec = codec<KeyRecord>()(['scopes'], [])
export const sshKeyCodec = codec<SshKeyRecord>()([], [])

export interface Schema {
  sandboxes: Table<typeof sandboxCodec>
  executions: Table<typeof executionCodec>
  events: Table<typeof eventCodec>
  usage: UsageRecord
  destinations: DestinationRecord
  keys: Table<typeof keyCodec>
  ssh_keys: Table<typeof sshKeyCodec>
}

/** The states in which a sandbox holds its name and uid range. The same text stands in the partial indexes. */
export const LIVE = `state in ('creating', 'ready', 'stopping')`

/**
 * Step n brings a database from version n to n+1. A step that was released is never edited; there are no steps
 * back: an older server refuses a newer database.
 */
export const MIGRATIONS: readonly string[] = [
  `
  create table sandboxes (
    seq integer primary key,
    id text not null unique,
    name text,
    description text,
    state text not null,
    mode text not null,
    runtime text not null,
    imageDigest text,
    metadata text not null,
    env text not null,
    asked text not null,
    granted text not null,
    driver text not null,
    storage text not null,
    idBase integer not null,
    idleTimeoutMs integer,
    expiresAt integer,
    projectId text,
    orgId text,
    executionCount integer not null,
    createdAt integer not null,
    updatedAt integer not null,
    lastActiveAt integer not null,
    endedAt integer,
    ending text,
    idempotencyKey text unique,
    requestDigest text,
    version integer not null
  ) strict;
  create unique index sandboxes_live_name on sandboxes (name) where ${LIVE};
  create unique index sandboxes_live_id_base on sandboxes (idBase) where ${LIVE} and idBase > 0;
  create index sandboxes_state on sandboxes (state);
  create index sandboxes_ended on sandboxes (endedAt) where endedAt is not null;

  create table executions (
    seq integer primary key,
    id text not null unique,
    sandboxId text not null references sandboxes (id),
    state text not null,
    argv text not null,
    cwd text,
    user text,
    env text not null,
    tty text,
    stdin integer not null,
    timeoutMs integer,
    deadlineAt integer,
    outputLimit integer not null,
    outputBytes integer not null,
    outputTruncated integer not null,
    killReason text,
    ending text,
    exitCode integer,
    signal text,
    message text,
    oomKills integer not null,
    cpuUsec integer,
    maxRssBytes integer,
    createdAt integer not null,
    startedAt integer,
    endedAt integer,
    idempotencyKey text,
    requestDigest text
  ) strict;
  create index executions_sandbox on executions (sandboxId);
  create index executions_open on executions (sandboxId) where state <> 'ended';
  create unique index executions_idempotency on executions (sandboxId, idempotencyKey)
    where idempotencyKey is not null;

  create table keys (
    seq integer primary key,
    id text not null unique,
    name text not null,
    hash text not null unique,
    scopes text not null,
    createdAt integer not null,
    expiresAt integer
  ) strict;
  `,
  `
  alter table executions add column kind text not null default 'command';
  alter table executions add column tag text;
  alter table executions add column pid integer;
  alter table executions add column outputKeep text not null default 'head';
  alter table executions add column outputStart integer not null default 0;
  create index executions_jobs on executions (sandboxId) where kind = 'job';
  create index executions_tag on executions (sandboxId, tag) where tag is not null;

  create table events (
    seq integer primary key,
    id text not null unique,
    sandboxId text not null,
    type text not null,
    payload text not null,
    createdAt integer not null
  ) strict;
  create index events_sandbox on events (sandboxId);

  create table usage (
    hour integer not null,
    sandboxId text not null,
    projectId text,
    orgId text,
    executions integer not null,
    cpuUsec integer not null,
    memoryByteSec real not null,
    egressBytes integer not null,
    primary key (hour, sandboxId)
  ) strict, without rowid;
  create index usage_sandbox on usage (sandboxId);

  create table ssh_keys (
    seq integer primary key,
    id text not null unique,
    name text not null,
    type text not null,
    fingerprint text not null unique,
    publicKey text not null,
    createdAt integer not null
  ) strict;
  `,
  `
  alter table sandboxes add column network text;
  alter table sandboxes add column rulesDigest text;
  alter table sandboxes add column ports text not null default '[]';
  alter table sandboxes add column trafficBefore text not null default '{"up":0,"down":0}';

  create table destinations (
    sandboxId text not null,
    name text not null,
    address text not null,
    port integer not null,
    protocol text not null,
    connections integer not null,
    uploadedBytes integer,
    downloadedBytes integer,
    firstAt integer not null,
    lastAt integer not null,
    primary key (sandboxId, name, address, port, protocol)
  ) strict, without rowid;
  create index destinations_recent on destinations (sandboxId, lastAt);
  `,
]
