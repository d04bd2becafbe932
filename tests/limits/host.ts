import { execFile } from 'node:child_process'
import { promisify } from 'node:util'

const run = promisify(execFile)

/** A small file system in memory at `path`, for as long as it is in scope. */
export async function smallDisk(path: string, size: string): Promise<AsyncDisposable> {
  await run('mount', ['-t', 'tmpfs', '-o', `size=${size},mode=700`, 'caisson-test', path])
  return {
    [Symbol.asyncDispose]: async () => {
      await run('umount', ['--lazy', path])
    },
  }
}
