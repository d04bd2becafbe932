import { z } from 'zod'
import type { SnapshotRecord } from '../../core/records.ts'

/**
 * Raised when what an older server would make of an archive is wrong; an archive says the first that has all it needs.
 * 2: a working directory, a start program.
 */
const FORMAT_VERSIONS = [1, 2] as const

/** The entries of an archive beside those of the files, which lie below the root. */
export const MANIFEST = 'manifest.json'
export const ROOT = 'rootfs'
export const DIGESTS = 'digests.json'

/** Of each of the two. */
export const MAX_JSON_BYTES = 1024 * 1024

const short = z.string().max(1024)
const list = z.array(short).max(10_000)
const texts = z.record(short, z.string().max(131_072))

/** What an archive says of its snapshot. */
export const Manifest = z.strictObject({
  format: z.literal('caisson-snapshot'),
  version: z.literal(FORMAT_VERSIONS),
  /** As Node names them: `x64`, `arm64`. */
  arch: short,
  name: z.string().regex(/^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/),
  tag: z
    .string()
    .regex(/^[A-Za-z0-9_][A-Za-z0-9._-]{0,127}$/)
    .nullable(),
  description: z.string().max(4096).nullable(),
  metadata: texts,
  /** What it was made from, for who wants to know: the files are all there. */
  runtime: short,
  /** Of its runtime and, where it was asked for when it was made, of its sandbox. */
  env: texts,
  user: short.nullable(),
  workdir: z.string().max(4096).nullable().default(null),
  start: z
    .strictObject({
      command: z.string().min(1).max(131_072),
      ready: z.string().min(1).max(131_072).nullable(),
      ports: z.array(z.int().min(1024).max(65_535)).max(64).optional(),
    })
    .nullable()
    .default(null),
  dependencies: list,
  packages: list,
  createdAt: z.iso.datetime(),
})
export type Manifest = z.input<typeof Manifest>

const sha256 = z.string().regex(/^[0-9a-f]{64}$/)

/** What comes last: a file that was cut or changed has none, or others. */
export const Digests = z.strictObject({
  /** Of the manifest's bytes. */
  manifest: sha256,
  /** Of the headers and contents of all entries below the root, in their order. */
  rootfs: sha256,
  entries: z.int().min(0),
  /** Of the files. */
  bytes: z.int().min(0),
  /** What could not be read and is missing. */
  skipped: z.int().min(0),
})
export type Digests = z.infer<typeof Digests>

export function manifestOf(snapshot: SnapshotRecord, imageEnv: Record<string, string>): Manifest {
  const { name, tag, description, metadata, runtime, env, user, dependencies, packages } = snapshot
  const { workdir, start } = snapshot
  const isPlain = workdir === null && start === null
  return {
    format: 'caisson-snapshot',
    version: isPlain ? 1 : 2,
    arch: process.arch,
    ...(!isPlain && { workdir, start }),
    ...{ name, tag, description, metadata, runtime, user, dependencies, packages },
    env: { ...imageEnv, ...env },
    createdAt: new Date(snapshot.createdAt).toISOString(),
  }
}
