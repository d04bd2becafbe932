import type { Generated } from 'kysely'
import { LIVE_STATES } from '../../core/lifecycle.ts'
import type {
  BuildLogRecord,
  BuildRecord,
  CheckpointRecord,
  DestinationRecord,
  EventRecord,
  ExecutionRecord,
  KeyRecord,
  LayerRecord,
  SandboxRecord,
  SessionRecord,
  SnapshotRecord,
  SshKeyRecord,
  TemplateRecord,
  TemplateTagRecord,
  UsageRecord,
  VolumeRecord,
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
  [
    'metadata',
    'env',
    'asked',
    'granted',
    'network',
    'ports',
    'trafficBefore',
    'ending',
    'layers',
    'dependencies',
    'packages',
    'pause',
    'restoring',
    'start',
    'volumes',
    'allPorts',
  ],
  ['resumeOnRequest'],
)
export const executionCodec = codec<ExecutionRecord>()(
  ['argv', 'env', 'tty'],
  ['stdin', 'outputTruncated', 'autoResumed'],
)
export const eventCodec = codec<EventRecord>()(['payload'], [])
export const keyCodec = codec<KeyRecord>()(['scopes'], [])
export const sshKeyCodec = codec<SshKeyRecord>()([], [])
export const checkpointCodec = codec<CheckpointRecord>()(['layers'], [])
export const snapshotCodec = codec<SnapshotRecord>()(
  ['metadata', 'layers', 'env', 'dependencies', 'packages', 'start'],
  ['public', 'memory'],
)
export const sessionCodec = codec<SessionRecord>()(['metadata'], [])
export const layerCodec = codec<LayerRecord>()([], [])
export const volumeCodec = codec<VolumeRecord>()(['metadata'], [])
export const templateCodec = codec<TemplateRecord>()(['resources'], [])
export const templateTagCodec = codec<TemplateTagRecord>()([], [])
export const buildCodec = codec<BuildRecord>()(['tags', 'from', 'steps', 'start', 'reason', 'made'], [])

export interface Schema {
  sandboxes: Table<typeof sandboxCodec>
  executions: Table<typeof executionCodec>
  events: Table<typeof eventCodec>
  usage: UsageRecord
  destinations: DestinationRecord
  keys: Table<typeof keyCodec>
  ssh_keys: Table<typeof sshKeyCodec>
  checkpoints: Table<typeof checkpointCodec>
  snapshots: Table<typeof snapshotCodec>
  sessions: Table<typeof sessionCodec>
  layers: Table<typeof layerCodec>
  volumes: Table<typeof volumeCodec>
  templates: Table<typeof templateCodec>
  template_tags: Table<typeof templateTagCodec>
  builds: Table<typeof buildCodec>
  build_logs: BuildLogRecord
}

/** `column in ('a', 'b')`, for texts that stand in a statement. */
const oneOf = (column: string, words: readonly string[]) =>
  `${column} in (${words.map((word) => `'${word}'`).join(', ')})`

/**
 * The states in which a sandbox holds its name, uid range and files. The same text stands in the partial indexes: a
 * new state needs a step that makes them again.
 */
export const LIVE = oneOf('state', LIVE_STATES)

/** {@link LIVE} as the first step had it. */
const FIRST_LIVE = `state in ('creating', 'ready', 'stopping')`
const FOURTH_LIVE = `state in ('creating', 'ready', 'pausing', 'paused', 'resuming', 'stopping')`

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
  create unique index sandboxes_live_name on sandboxes (name) where ${FIRST_LIVE};
  create unique index sandboxes_live_id_base on sandboxes (idBase) where ${FIRST_LIVE} and idBase > 0;
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
  `
  drop index sandboxes_live_name;
  drop index sandboxes_live_id_base;
  create unique index sandboxes_live_name on sandboxes (name) where ${FOURTH_LIVE};
  create unique index sandboxes_live_id_base on sandboxes (idBase) where ${FOURTH_LIVE} and idBase > 0;
  alter table sandboxes add column layers text not null default '[]';
  alter table sandboxes add column base text;
  alter table sandboxes add column snapshotId text;
  alter table sandboxes add column forkedFrom text;
  alter table sandboxes add column sessionId text;
  alter table sandboxes add column dependencies text not null default '[]';
  alter table sandboxes add column packages text not null default '[]';
  alter table sandboxes add column user text;
  alter table sandboxes add column pause text;
  alter table sandboxes add column onTimeout text not null default 'kill';
  alter table sandboxes add column pauseDepth text not null default 'filesystem';
  alter table sandboxes add column pausedTimeoutMs integer;
  alter table sandboxes add column resumeOnRequest integer not null default 0;
  alter table sandboxes add column bootedAt integer;
  alter table sandboxes add column pauseAfterMs integer;
  alter table sandboxes add column restoring text;
  alter table sandboxes add column ttlMs integer;
  update sandboxes set bootedAt = createdAt where state in ('ready', 'stopping', 'terminated');
  create index sandboxes_snapshot on sandboxes (snapshotId) where snapshotId is not null;
  create index sandboxes_session on sandboxes (sessionId) where sessionId is not null;
  alter table executions add column autoResumed integer not null default 0;

  create table checkpoints (
    seq integer primary key,
    id text not null unique,
    sandboxId text not null references sandboxes (id),
    name text,
    save text not null,
    layers text not null,
    sizeBytes integer,
    fileCount integer,
    createdAt integer not null
  ) strict;
  create index checkpoints_sandbox on checkpoints (sandboxId);
  create unique index checkpoints_name on checkpoints (sandboxId, name) where name is not null;

  create table snapshots (
    seq integer primary key,
    id text not null unique,
    name text not null,
    tag text,
    description text,
    public integer not null,
    metadata text not null,
    runtime text not null,
    imageDigest text,
    layers text not null,
    save text not null,
    env text not null,
    user text,
    dependencies text not null,
    packages text not null,
    sandboxId text,
    parentId text,
    contentHash text,
    sizeBytes integer,
    fileCount integer,
    createdAt integer not null,
    updatedAt integer not null
  ) strict;
  create unique index snapshots_name_tag on snapshots (name, tag) where tag is not null;
  create index snapshots_name on snapshots (name);
  create index snapshots_tag on snapshots (tag) where tag is not null;
  create index snapshots_parent on snapshots (parentId) where parentId is not null;
  create index snapshots_sandbox on snapshots (sandboxId) where sandboxId is not null;

  create table sessions (
    seq integer primary key,
    id text not null unique,
    name text,
    sandboxId text not null unique references sandboxes (id),
    pauseAfterMs integer,
    metadata text not null,
    projectId text,
    orgId text,
    createdAt integer not null,
    updatedAt integer not null,
    deletedAt integer,
    idempotencyKey text unique,
    requestDigest text
  ) strict;
  create unique index sessions_name on sessions (name) where name is not null and deletedAt is null;

  create table layers (
    seq integer primary key,
    digest text not null unique,
    save text not null,
    what text not null,
    createdAt integer not null,
    usedAt integer not null
  ) strict;
  `,
  `
  alter table sandboxes add column templateId text;
  alter table sandboxes add column workdir text;
  alter table sandboxes add column start text;
  alter table sandboxes add column volumes text not null default '[]';
  alter table sandboxes add column internal text;
  alter table sandboxes add column allPorts text;
  alter table sandboxes add column portHost text;
  create index sandboxes_template on sandboxes (templateId) where templateId is not null;
  create index sandboxes_volumes on sandboxes (id) where volumes <> '[]';
  alter table snapshots add column workdir text;
  alter table snapshots add column start text;

  create table volumes (
    seq integer primary key,
    id text not null unique,
    name text not null unique,
    limitBytes integer,
    metadata text not null,
    createdAt integer not null,
    updatedAt integer not null
  ) strict;

  create table templates (
    seq integer primary key,
    id text not null unique,
    name text not null unique,
    resources text not null,
    createdAt integer not null,
    updatedAt integer not null
  ) strict;

  create table template_tags (
    seq integer primary key,
    templateId text not null references templates (id) on delete cascade,
    tag text not null,
    buildId text not null,
    createdAt integer not null,
    unique (templateId, tag)
  ) strict;

  create table builds (
    seq integer primary key,
    id text not null unique,
    templateId text not null references templates (id) on delete cascade,
    status text not null,
    tags text not null,
    "from" text,
    steps text not null,
    start text,
    reason text,
    made text,
    createdAt integer not null,
    startedAt integer,
    endedAt integer
  ) strict;
  create index builds_template on builds (templateId);
  create index builds_open on builds (id) where status in ('waiting', 'building');

  create table build_logs (
    buildId text not null references builds (id) on delete cascade,
    entry integer not null,
    at integer not null,
    level text not null,
    step integer,
    message text not null,
    primary key (buildId, entry)
  ) strict, without rowid;
  `,
  `
  alter table snapshots add column memory integer not null default 0;
  `,
]
