import { execFileSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { mkdir } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { test } from 'vitest'
import { Launcher } from '../../launcher/client.ts'
import { type Bench, layersSuite } from '../conformance.ts'
import { OverlayLayers } from '../overlay/index.ts'
import { BtrfsLayers } from './index.ts'

const build = resolve(import.meta.dirname, '../../../../../native/build')

/** Why there can be no pool here; null: there can. */
function cannotRun(): string | null {
  if (process.getuid?.() !== 0) return 'the launcher needs root'
  if (!existsSync(join(build, 'launcher'))) return 'native/build is not built (make -C native)'
  try {
    execFileSync('mkfs.btrfs', ['--version'], { stdio: 'ignore' })
  } catch {
    return 'mkfs.btrfs is not installed'
  }
  return existsSync('/sys/fs/btrfs') ? null : 'the kernel has no btrfs'
}

/** The pool is mounted where only the launcher sees it: the test looks with its eyes. */
async function open(dataDir: string): Promise<Bench> {
  await mkdir(join(dataDir, 'run'), { recursive: true, mode: 0o700 })
  const launcher = new Launcher({
    program: join(build, 'launcher'),
    socket: join(dataDir, 'run/launcher.sock'),
    dataDir,
    imagesDir: join(dataDir, 'images'),
    agent: join(build, 'agent'),
    crun: '/usr/bin/crun',
    seccomp: join(build, 'seccomp.bpf'),
    instance: `layers_${process.pid}`,
  })
  await launcher.open()
  const pid = await launcher.pid()
  return {
    layers: new BtrfsLayers({
      hand: launcher.pool,
      maxBytes: async () => 2 ** 30,
      before: new OverlayLayers({ dataDir, hand: launcher }),
    }),
    files: (id) => `/proc/${pid}/root${dataDir}/pool/sandboxes/${id}/upper`,
    close: async () => {
      // Of two on one directory the other may have ended it.
      await launcher.shutdown().catch(() => {})
      await launcher.close()
    },
  }
}

const reason = cannotRun()
if (reason === null) layersSuite('btrfs', open)
else test.skip(`storage btrfs (${reason})`)
