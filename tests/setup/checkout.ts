import { execFile, execFileSync } from 'node:child_process'
import {
  cpSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'

const repository = resolve(import.meta.dirname, '../..')

/** The tools that the bootstrap uses as they are; everything else it finds is a stand-in that notes its call. */
const REAL = [
  'cat',
  'cp',
  'date',
  'flock',
  'id',
  'mkdir',
  'mv',
  'readlink',
  'rm',
  'sh',
  'sha256sum',
  'sleep',
  'tr',
  'uname',
]

/** The effect of each stand-in, run in the checkout. The `node` that npm brings prints its arguments. */
const STAND_INS: Record<string, string> = {
  npm: 'rm -rf node_modules; mkdir -p node_modules/.bin; cp "$STUBS/node" node_modules/.bin/node',
  make: 'mkdir -p native/build; for f in agent launcher; do cp "$STUBS/node" native/build/$f; done; : >native/build/seccomp.bpf',
  'apt-get': ':',
  gcc: ':',
  crun: ':',
  nft: ':',
  ip: ':',
  mmdebstrap: ':',
  'mkfs.btrfs': ':',
  skopeo: ':',
}

const NODE = `case $1 in
*/setup-runtime.ts) echo runtime >>"$CALLS"; mkdir -p "$3/base"; : >"$3/base/current" ;;
*) echo "node $*" ;;
esac`

const CRIU = 'echo criu >>"$CALLS"; mkdir -p "$1"; cp "$STUBS/node" "$1/criu"\n'

export interface Outcome {
  code: number
  stdout: string
  stderr: string
}

/** A checkout of its own with the real bootstrap and stand-ins for all that it would install, build or run. */
export class Checkout implements Disposable {
  readonly #base = mkdtempSync(join(tmpdir(), 'caisson setup-'))
  readonly root = join(this.#base, 'check out')
  readonly data = join(this.#base, 'data')
  readonly #bin = join(this.#base, 'bin')
  readonly #calls = join(this.#base, 'calls')

  constructor() {
    for (const path of [this.#bin, join(this.root, 'native/agent'), join(this.root, 'scripts')]) {
      mkdirSync(path, { recursive: true })
    }
    for (const path of ['caisson', 'scripts/setup.sh']) cpSync(join(repository, path), join(this.root, path))
    writeFileSync(join(this.root, 'scripts/criu.sh'), CRIU)
    for (const path of ['package-lock.json', 'native/Makefile', 'native/agent/main.c'])
      this.#place(path, path, -10)
    for (const tool of REAL)
      symlinkSync(execFileSync('which', [tool], { encoding: 'utf8' }).trim(), join(this.#bin, tool))
    for (const [tool, effect] of Object.entries(STAND_INS)) this.standIn(tool, effect)
    writeFileSync(join(this.#bin, 'node'), `#!/bin/sh\n${NODE}\n`, { mode: 0o755 })
    writeFileSync(this.#calls, '')
  }

  [Symbol.dispose](): void {
    rmSync(this.#base, { recursive: true, force: true })
  }

  standIn(tool: string, effect: string): void {
    const script = `#!/bin/sh\necho ${tool} >>"$CALLS"\ncd "$ROOT"\n${effect}\n`
    rmSync(join(this.#bin, tool), { force: true })
    writeFileSync(join(this.#bin, tool), script, { mode: 0o755 })
  }

  remove(tool: string): void {
    rmSync(join(this.#bin, tool))
  }

  /** Writes a file as if a little later, so that it is newer than every stamp. */
  write(path: string, content: string): void {
    this.#place(path, content, 2)
  }

  /** What was installed, built or asked since the last look. */
  calls(): string[] {
    const lines = readFileSync(this.#calls, 'utf8').trim().split('\n').filter(Boolean)
    writeFileSync(this.#calls, '')
    return lines
  }

  run(
    args: string[],
    env: Record<string, string> = {},
    command = join(this.root, 'caisson'),
  ): Promise<Outcome> {
    const own = {
      PATH: this.#bin,
      STUBS: this.#bin,
      ROOT: this.root,
      CALLS: this.#calls,
      CAISSON_DATA_DIR: this.data,
    }
    return new Promise((done) => {
      execFile(command, args, { env: { ...own, ...env } }, (error, stdout, stderr) => {
        done({ code: error ? Number(error.code ?? 128) : 0, stdout, stderr })
      })
    })
  }

  #place(path: string, content: string, secondsFromNow: number): void {
    const file = join(this.root, path)
    writeFileSync(file, content)
    const at = Date.now() / 1000 + secondsFromNow
    utimesSync(file, at, at)
  }
}
