import { createHash } from 'node:crypto'
import { realpath } from 'node:fs/promises'
import type { BuildStep } from '@caisson/protocol/resources'
import type { Client } from '../client.ts'
import type { CopyStep, TemplateStep } from '../templates.ts'
import { copiedFiles } from './copied-files.ts'
import type { ChosenFile } from './files.ts'
import { refused } from './refused.ts'
import { tar } from './tar.ts'
import { unchangedEntries } from './unchanged.ts'

/** Where copy steps take their files from. */
interface Context {
  directory: string
  ignore: readonly string[]
  signal: AbortSignal | undefined
}

/**
 * Sends the files of copy steps that the server does not have yet.
 *
 * @returns the steps with the hashes by which the server knows the files
 * @throws SandboxError `invalid_request` for a step that copies nothing, `payload_too_large`
 */
export async function sendFiles(
  client: Client,
  steps: readonly TemplateStep[],
  { directory, ignore, signal }: Context,
): Promise<BuildStep[]> {
  const root = await realpath(directory)
  const made: BuildStep[] = []
  for (const [index, step] of steps.entries())
    made.push(step.type === 'copy' ? { ...step, files: await send(step, index) } : step)
  return made

  async function send(step: CopyStep, index: number): Promise<string> {
    const files = await copiedFiles(root, step.source, ignore, signal)
    if (files.length === 0)
      throw refused(`steps[${index}].source`, `"${step.source}" chooses no file in ${root}`)
    const hash = hashOf(files)
    if (!(await client.call('hasBuildFiles', { hash }, { signal })).present)
      await client.upload('putBuildFiles', { hash }, tar(unchangedEntries(root, files)), { signal })
    return hash
  }
}

/** Of path, permissions and contents of every file: the same files have the same name wherever they lie. */
function hashOf(files: readonly ChosenFile[]): string {
  const rows = files.map((file) =>
    file.type === 'link' ? [file.path, 'link', file.target] : [file.path, 'file', file.mode, file.sha256],
  )
  return createHash('sha256')
    .update(JSON.stringify({ format: 1, files: rows }))
    .digest('hex')
}
