import type { Sandbox } from '@caisson/protocol/resources'
import type { Examples } from './examples.ts'

const at = '2026-11-21T09:30:00.000Z'

const checkpoint = {
  id: 'ckpt_5n2v8r1t6y3u9w4q',
  sandboxId: 'sbx_3kq7c2vfa5m1x8zd',
  name: 'before-upgrade',
  sizeBytes: 48_211_020,
  fileCount: 1204,
  createdAt: at,
}

const snapshot = {
  id: 'snp_8d3f6h2j9k4m7p1s',
  name: 'python-ml',
  tag: 'latest',
  description: null,
  public: false,
  memory: false,
  metadata: { team: 'research' },
  runtime: 'base:latest',
  sandboxId: checkpoint.sandboxId,
  parentId: null,
  sizeBytes: 48_211_020,
  fileCount: 1204,
  sandboxes: 2,
  contentHash: null,
  env: ['STAGE'],
  dependencies: ['ffmpeg'],
  packages: [],
  createdAt: at,
  updatedAt: at,
}

const session = {
  id: 'ses_2w5e8r1t4y7u3i6o',
  name: 'chat-42',
  status: 'recorded' as const,
  sandboxId: checkpoint.sandboxId,
  workspace: '/home/agent/workspace',
  pauseAfterMs: 3_600_000,
  metadata: { user: 'ada' },
  projectId: null,
  orgId: null,
  createdAt: at,
  updatedAt: at,
  bootedAt: null,
  deletedAt: null,
}

const runtime = {
  id: 'base:latest',
  name: 'Base',
  description: 'Debian with the usual tools, Python and a C compiler.',
  icon: null,
  color: null,
  url: null,
  tags: ['debian', 'python'],
  requirements: { memory: '64Mi', cpu: null, disk: null },
  notes: null,
  source: 'recipe' as const,
  built: true,
  createdAt: at,
}

type Of<G extends Record<string, unknown>> = { [N in keyof Examples & keyof G]: Examples[N] }

/** Examples of what `operations/{pauses,snapshots,runtimes}.ts` declare. */
export function stateExamples(
  sandbox: Sandbox,
): Of<
  typeof import('@caisson/protocol/operations/pauses').pauses &
    typeof import('@caisson/protocol/operations/snapshots').snapshots &
    typeof import('@caisson/protocol/operations/runtimes').runtimes
> {
  const { id } = sandbox
  const paused = {
    ...sandbox,
    status: 'paused' as const,
    pause: { depth: 'memory' as const, memory: 'ram' as const, since: at, ttlLeftMs: null, deletedAt: null },
  }
  return {
    pauseSandbox: { params: { id }, body: { depth: 'memory' }, output: paused },
    resumeSandbox: { params: { id }, body: {}, output: sandbox },
    forkSandbox: {
      params: { id },
      body: { count: 2 },
      output: { sandboxes: [{ ...sandbox, id: 'sbx_9x2c5v8b1n4m7k3j', name: null, forkedFrom: id }] },
    },
    createSession: {
      body: { name: 'chat-42', metadata: { user: 'ada' }, sandbox: { runtime: 'base:latest' } },
      output: session,
    },
    listSessions: { query: { status: 'paused', limit: '10' }, output: { sessions: [session], total: 1 } },
    getSession: { params: { session: 'chat-42' }, output: session },
    deleteSession: {
      params: { session: 'chat-42' },
      output: { ...session, status: 'deleted', deletedAt: at },
    },
    createCheckpoint: { params: { id }, body: { name: 'before-upgrade' }, output: checkpoint },
    listCheckpoints: {
      params: { id },
      query: { limit: '10' },
      output: { checkpoints: [checkpoint], total: 1 },
    },
    restoreCheckpoint: { params: { id, checkpoint: 'before-upgrade' }, output: sandbox },
    deleteCheckpoint: { params: { id, checkpoint: 'before-upgrade' } },
    createSnapshot: {
      params: { id },
      body: { name: 'python-ml', tag: 'latest', metadata: { team: 'research' } },
      output: snapshot,
    },
    listSnapshots: {
      query: { name: 'python-ml', sort: 'size' },
      output: { snapshots: [snapshot], total: 1 },
    },
    getSnapshot: { params: { snapshot: 'python-ml:latest' }, output: snapshot },
    getLineage: {
      params: { snapshot: 'python-ml' },
      output: { ancestors: [], children: [], sandboxes: [id] },
    },
    tagSnapshot: {
      params: { snapshot: snapshot.id },
      body: { tag: 'v2' },
      output: { ...snapshot, tag: 'v2' },
    },
    deleteSnapshot: { params: { snapshot: 'python-ml:latest' } },
    exportSnapshot: { params: { snapshot: 'python-ml' } },
    exportPublicSnapshot: { params: { snapshot: 'python-ml' } },
    importSnapshot: {
      query: { name: 'python-ml' },
      upload: 'the bytes of python-ml.tar.zst',
      output: { ...snapshot, sandboxId: null },
    },
    listRuntimes: { query: { limit: '10' }, output: { runtimes: [runtime], total: 1 } },
    getRuntime: { params: { runtime: 'base:latest' }, output: runtime },
    buildRuntime: { params: { runtime: 'python:3.13' } },
    importRuntime: {
      query: { name: 'alpine:3', reference: 'docker.io/library/alpine:3' },
      upload: '',
    },
    deleteRuntime: { params: { runtime: 'alpine:3' } },
    getDiskUsage: {
      output: {
        storage: 'btrfs',
        pool: {
          kind: 'file',
          sizeBytes: 4_294_967_296,
          usedBytes: 182_452_224,
          maxBytes: 107_374_182_400,
          quotas: true,
        },
        sandboxes: [{ id, bytes: 4_194_304 }],
        saved: { count: 3, bytes: 52_428_800 },
        volumes: { count: 1, bytes: 48_211_020 },
        images: [{ runtime: 'base:latest', digest: '3f1c…', inUse: true }],
      },
    },
    collectGarbage: {
      body: { dryRun: true },
      output: {
        dryRun: true,
        freedBytes: 268_435_456,
        removed: [
          { kind: 'image', id: 'base:latest 9a0b…', bytes: 268_435_456, reason: 'a newer one is in use' },
        ],
      },
    },
  }
}
