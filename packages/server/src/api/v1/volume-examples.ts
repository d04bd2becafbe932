import type { FileInfo } from '@caisson/protocol/resources'
import type { Examples } from './examples.ts'

const at = '2026-11-21T09:30:00.000Z'

const volume = {
  id: 'vol_4r7t1y9u2i5o8p3a',
  name: 'datasets',
  metadata: { team: 'research' },
  limitBytes: 10_737_418_240,
  usedBytes: 48_211_020,
  mounts: [{ sandboxId: 'sbx_3kq7c2vfa5m1x8zd', path: '/data', readOnly: true }],
  createdAt: at,
  updatedAt: at,
}
const params = { volume: 'datasets' }

/** Examples of what concerns volumes. */
export function volumeExamples(file: FileInfo) {
  const entry = { ...file, path: '/notes.txt' }
  const path = entry.path
  return {
    createVolume: {
      body: { name: 'datasets', size: '10Gi' },
      output: { ...volume, usedBytes: 0, mounts: [] },
    },
    listVolumes: { query: { limit: '10' }, output: { volumes: [volume], total: 1 } },
    getVolume: { params, output: volume },
    deleteVolume: { params },
    listVolumeFiles: { params, query: { path: '/' }, output: { files: [entry] } },
    statVolumeFile: { params, query: { path }, output: entry },
    readVolumeFile: { params, query: { path } },
    writeVolumeFile: { params, query: { path }, upload: 'hello, volume', output: entry },
    makeVolumeDirectory: {
      params,
      body: { path: '/raw/2026' },
      output: { ...entry, name: '2026', path: '/raw/2026', type: 'directory' as const, mode: 0o755 },
    },
    changeVolumeFile: { params, body: { path, mode: 0o600 }, output: { ...entry, mode: 0o600 } },
    removeVolumeFile: { params, query: { path } },
  } satisfies Partial<Examples>
}
