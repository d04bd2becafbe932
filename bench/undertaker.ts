import { spawn } from 'node:child_process'
import { mkdtemp, readdir, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { destroyDataDirectory } from './data-directory.ts'
import { removeEngineLeftovers } from './peers/engine.ts'

/** The directory in which everything of a run lies. */
export interface WorkDirectory extends AsyncDisposable {
  path: string
}

/**
 * Makes a run's directory, and a process that waits for the run's end: a benchmark that is killed leaves nothing
 * behind either. Short, because sockets lie in it.
 */
export async function makeWorkDirectory(): Promise<WorkDirectory> {
  const path = await mkdtemp('/tmp/caisson-b-')
  const watcher = spawn(process.execPath, [import.meta.filename, path], {
    stdio: ['pipe', 'ignore', 'inherit'],
    detached: true,
  })
  return {
    path,
    [Symbol.asyncDispose]: async () => {
      const ended = new Promise((resolve) => watcher.once('exit', resolve))
      watcher.stdin.end()
      await ended
    },
  }
}

async function bury(path: string): Promise<void> {
  await removeEngineLeftovers(path)
  for (const name of await readdir(path))
    if (name.startsWith('s-')) await destroyDataDirectory(join(path, name))
  await rm(path, { recursive: true, force: true })
}

if (process.argv[1] === import.meta.filename) {
  // The pipe ends with the process that holds its other end; a Ctrl-C in the terminal is for that one alone.
  process.on('SIGINT', () => {})
  for await (const _ of process.stdin);
  await bury(process.argv[2] ?? '')
}
