import { createHash } from 'node:crypto'
import type { Sandbox } from 'caisson'
import { DIGEST_STDIN } from '../payload.ts'
import type { Scenario } from '../scenario.ts'
import { type Transfer, transferScenario } from '../transfer.ts'

const FILE = 'uploaded'

/** A file of a GiB, in and out. */
export const files: Scenario = {
  name: 'files',
  title: 'A file of a GiB, up and down',
  run: (run) =>
    transferScenario(run, (sandbox) => ({ ours: [upload(sandbox), download(sandbox)], peers: [] })),
}

/** The digest is taken inside the sandbox, which reads the file once more. */
const upload = (sandbox: Sandbox): Transfer => ({
  name: 'upload and digest',
  move: async (payload) => {
    await sandbox.files.write(FILE, payload.stream())
    const result = await sandbox.sh(`python3 -c '${DIGEST_STDIN}' < ${FILE}`)
    return result.throwIfFailed().stdout.trim()
  },
})

const download = (sandbox: Sandbox): Transfer => ({
  name: 'download',
  move: async () => {
    const hash = createHash('sha256')
    for await (const piece of sandbox.files.stream(FILE)) hash.update(piece)
    return hash.digest('hex')
  },
})
