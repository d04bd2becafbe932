import { spawn } from 'node:child_process'
import { createHash } from 'node:crypto'
import { existsSync } from 'node:fs'
import { rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { Sandbox } from 'caisson'
import type { Scenario } from '../scenario.ts'
import { BLOCK_FILE, type Transfer, transferScenario } from '../transfer.ts'

/** A command that writes a GiB, read by the SDK. */
export const stdout: Scenario = {
  name: 'stdout',
  title: 'A GiB of stdout',
  run: (run) =>
    transferScenario(run, (sandbox) => ({
      ours: [ours(sandbox)],
      peers: [pipe(run.workDir, false), pipe(run.workDir, true)],
    })),
}

const ours = (sandbox: Sandbox): Transfer => ({
  name: 'stdout through the SDK',
  move: async (payload) => {
    const hash = createHash('sha256')
    const result = await sandbox.sh(payload.repeat(BLOCK_FILE), {
      maxBuffer: 0,
      onOutput: ({ data }) => void hash.update(data),
    })
    result.throwIfFailed()
    return hash.digest('hex')
  },
})

/**
 * The same script on the host, read through a plain pipe: what a Node process can take at most. `kept`: with a file
 * that `tee` writes on the way, as the server keeps all output on disk.
 */
const pipe = (dir: string, kept: boolean): Transfer => ({
  name: `a plain pipe on the host${kept ? ', kept by tee' : ''}`,
  move: async (payload) => {
    const [block, copy] = [join(dir, 'block'), join(dir, 'copy')]
    // The first round pays for what the sandbox has made beforehand.
    if (!existsSync(block)) await writeFile(block, payload.block)
    const script = payload.repeat(block)
    const hash = await readPipe(kept ? `{ ${script}; } | tee ${copy}` : script)
    await rm(copy, { force: true })
    return hash
  },
})

async function readPipe(script: string): Promise<string> {
  const hash = createHash('sha256')
  const child = spawn('/bin/sh', ['-c', script], { stdio: ['ignore', 'pipe', 'inherit'] })
  for await (const data of child.stdout) hash.update(data)
  return hash.digest('hex')
}
