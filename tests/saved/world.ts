import { type Client, type Sandbox, SandboxError } from 'caisson'
import { cannotRun, leftovers, untilNone } from '../crash/host.ts'
import { type ServerOptions, TestServer } from '../fixture.ts'

/** Why these tests cannot run here; null when they can. */
export const cannotSave = cannotRun

/** A server with a storage pool of its own. */
export function startSaving(options: ServerOptions & { started?: boolean } = {}): Promise<TestServer> {
  return TestServer.start({
    ...options,
    env: { CAISSON_STORAGE: 'btrfs', CAISSON_POOL_SIZE: '1Gi', ...options.env },
  })
}

/** Makes a small tree of everything that a file system has. */
const PLANT = `
  mkdir -p ~/tree/.hidden/deep ~/tree/empty && cd ~/tree
  for i in $(seq 1 200); do echo "file $i" > ".hidden/deep/f$i"; done
  ln -s ../no/where dangling; ln .hidden/deep/f1 hard; mkfifo pipe
  truncate -s 64M sparse; printf x | dd of=sparse bs=1 seek=33554432 conv=notrunc status=none
  chmod 2750 .hidden; chmod 4755 hard; touch -d '2001-02-03 04:05:06' empty
  sudo chown 0:33 .hidden/deep/f2; sudo rm /etc/issue; sudo sh -c 'echo changed > /etc/motd'`

/** Prints the command lines of all programs in a sandbox, but for this one's own. */
export const PROGRAMS = `for p in /proc/[0-9]*; do [ $p = /proc/$$ ] || tr '\\0' ' ' < $p/cmdline; echo; done 2>&-`

/** One line that is the same for trees that are the same: names, types, modes, owners, sizes, links, times, contents. */
const DIGEST = `
  { cd ~/tree && find . -printf '%P %y %m %U %G %s %n %l %T@\\n' | sort
    find . -type f -exec sha256sum {} + | sort
    ls /etc/issue /etc/motd 2>&1; cat /etc/motd; } | sha256sum`

export async function plant(box: Sandbox): Promise<string> {
  const { exitCode, stderr } = await box.sh(PLANT)
  if (exitCode !== 0) throw new Error(`the tree could not be made: ${stderr}`)
  return digest(box)
}

export async function digest(box: Sandbox): Promise<string> {
  return text(box, DIGEST)
}

/** What a command that succeeds has written, without the last line end. */
export async function text(box: Sandbox, script: string): Promise<string> {
  const { exitCode, stdout, stderr } = await box.sh(script)
  if (exitCode !== 0) throw new Error(`"${script}" failed: ${stderr}`)
  return stdout.trimEnd()
}

/** What garbage collection would remove: nothing, when everything has removed its own. */
export async function garbage(client: Client): Promise<string[]> {
  const { removed } = await client.call('collectGarbage', { dryRun: true })
  return removed.map(({ kind, id, reason }) => `${kind} ${id}: ${reason}`)
}

/** The server dies at `failpoint`, to which `work` drives it; the next one does not. @returns the answer, if one came */
export async function crash<T>(
  server: TestServer,
  failpoint: string,
  work: (signal: AbortSignal) => Promise<T>,
): Promise<T | null> {
  await server.kill9()
  await server.up({ failpoint })
  const gone = new AbortController()
  const answer = work(gone.signal).catch((error) => {
    if (SandboxError.is(error, 'aborted') || SandboxError.is(error, 'connection_lost')) return null
    throw error
  })
  await Promise.race([server.died(), answer.then(() => server.died())])
  gone.abort()
  const first = await answer
  await server.up()
  return first
}

/** Waits until nothing is left of a server's dead predecessors. @param living whether sandboxes may be there */
export async function nothingIsOrphaned(
  server: TestServer,
  client: Client,
  { living }: { living: boolean },
): Promise<void> {
  await untilNone('nothing is left behind', async () => {
    const ids = (await client.call('listSandboxes')).sandboxes.map(({ id }) => id)
    return [...leftovers(server, ids), ...(living ? [] : ids), ...(await garbage(client))]
  })
}
