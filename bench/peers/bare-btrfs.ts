import { type ChildProcessByStdio, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import type { Readable, Writable } from 'node:stream'
import type { Peer } from './peer.ts'

const READY_MS = 30_000

/**
 * A file system of its own in a mount namespace of its own, and in it a shell that waits: one line is one copy of a
 * directory with 10 MiB. Everything goes with the shell.
 */
const SHELL = `
truncate -s 2G "$1/btrfs.img" && mkfs.btrfs -q "$1/btrfs.img" >/dev/null && mount -o loop "$1/btrfs.img" "$1/mnt" || exit 1
cd "$1/mnt" && btrfs subvolume create data >/dev/null && head -c 10485760 /dev/urandom >data/file && sync || exit 1
echo ready
n=0
while read -r how; do
  n=$((n + 1))
  case $how in
    snapshot) btrfs subvolume snapshot data "copy$n" >/dev/null ;;
    copy) cp -a data "copy$n" ;;
  esac || exit 1
  echo done
done
`

/** What a copy costs with nothing around it. */
export class BareBtrfs implements AsyncDisposable {
  readonly snapshot: Peer = { name: 'btrfs subvolume snapshot', run: () => this.#time('snapshot') }
  readonly copy: Peer = { name: 'cp -a of 10 MiB', run: () => this.#time('copy') }
  readonly #shell: ChildProcessByStdio<Writable, Readable, null>
  readonly #lines: AsyncIterator<string>

  private constructor(shell: ChildProcessByStdio<Writable, Readable, null>) {
    this.#shell = shell
    this.#lines = createInterface({ input: shell.stdout })[Symbol.asyncIterator]()
  }

  /** @param workDir is removed when the benchmark ends */
  static async open(workDir: string): Promise<BareBtrfs> {
    await mkdir(join(workDir, 'mnt'), { recursive: true })
    const argv = ['--mount', '--propagation', 'private', 'sh', '-c', SHELL, 'sh', workDir]
    const peer = new BareBtrfs(spawn('unshare', argv, { stdio: ['pipe', 'pipe', 'inherit'] }))
    const late = AbortSignal.timeout(READY_MS)
    const ended = once(peer.#shell, 'exit', { signal: late })
    const first = await Promise.race([peer.#lines.next(), ended.then(() => ({ value: null }))])
    ended.catch(() => {})
    if (first.value === 'ready') return peer
    peer.#shell.kill('SIGKILL')
    throw new Error('a bare btrfs could not be made')
  }

  async #time(how: 'snapshot' | 'copy'): Promise<number> {
    const since = performance.now()
    this.#shell.stdin.write(`${how}\n`)
    const { done } = await this.#lines.next()
    if (done) throw new Error(`the bare ${how} failed`)
    return performance.now() - since
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#shell.exitCode !== null) return
    const ended = once(this.#shell, 'exit')
    this.#shell.stdin.end()
    await ended
  }
}
