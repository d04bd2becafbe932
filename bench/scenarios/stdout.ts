import { spawn } from 'node:child_process'
import { createHash, type Hash } from 'node:crypto'
import { rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { Sandbox } from 'caisson'
import type { Payload } from '../payload.ts'
import type { Scenario } from '../scenario.ts'
import { BLOCK_FILE, type Transfer, transferScenario } from '../transfer.ts'

/** A command that writes a GiB, read by the SDK. */
export const stdout: Scenario = {
  name: 'stdout',
  title: 'A GiB of stdout',
  run: (run) => transferScenario(run, (sandbox) => ({ ours: [ours(sandbox)], peers: [pipe(run.workDir)] })),
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

/** The same script on the host, read through a plain pipe: what a Node process can take at most. */
const pipe = (dir: string): Transfer => ({
  name: 'a plain pipe on the host',
  move: async (payload) => {
    const file = join(dir, 'block')
    await writeFile(file, payload.block)
    const hash = await readPipe(payload, file)
    await rm(file)
    return hash.digest('hex')
  },
})

async function readPipe(payload: Payload, file: string): Promise<Hash> {
  const hash = createHash('sha256')
  const child = spawn('/bin/sh', ['-c', payload.repeat(file)], { stdio: ['ignore', 'pipe', 'inherit'] })
  for await (const data of child.stdout) hash.update(data)
  return hash
}
