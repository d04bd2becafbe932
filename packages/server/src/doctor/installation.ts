import { mkdir, open, rm, stat, statfs } from 'node:fs/promises'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { requireGoodCrun } from '../runtime/oci/probe.ts'
import { Catalogue } from '../storage/images/catalogue.ts'
import { degraded, type Finding, missing, ok, reason, tool } from './check.ts'

const GIB = 1024 ** 3
/** An image takes 0.5 GiB; below this a sandbox that fills its disk soon fills the host's. */
const LEAST_FREE = 2 * GIB
const SETUP = 'Run "caisson setup".'

/** Asks for the version, and holds it against those with known escapes. */
export async function crun(command: string, signal?: AbortSignal): Promise<Finding> {
  try {
    return ok(`crun ${await requireGoodCrun(command, signal)}, no known escape concerns how it is used here`)
  } catch (error) {
    const fix =
      'Install another version of crun (Debian: apt-get install crun), or name one by "crun" in the configuration.'
    return missing(reason(error), fix)
  }
}

export async function agent(path: string, signal?: AbortSignal): Promise<Finding> {
  try {
    return ok((await tool(path, ['--version'], signal)).trim())
  } catch (error) {
    return missing(`${path}: ${reason(error)}`, SETUP)
  }
}

/** A filter program is a whole number of eight-byte instructions. */
export async function seccomp(path: string): Promise<Finding> {
  try {
    const { size } = await stat(path)
    if (size > 0 && size % 8 === 0) return ok(`${size / 8} instructions, compiled`)
    return missing(`${path} is not a compiled filter`, SETUP)
  } catch (error) {
    return missing(`${path}: ${reason(error)}`, SETUP)
  }
}

export async function baseRuntime(runtimesDir: string, imagesDir: string): Promise<Finding> {
  try {
    const image = await new Catalogue({ runtimesDir, imagesDir }).resolve('base')
    return ok(`base:latest, ${image.digest.slice(0, 12)}`)
  } catch (error) {
    return missing(reason(error), SETUP)
  }
}

export async function dataDirectory(dataDir: string): Promise<Finding> {
  try {
    await mkdir(dataDir, { recursive: true, mode: 0o700 })
    await tryWrite(join(dataDir, `.doctor-${process.pid}`))
    const { mode } = await stat(dataDir)
    if (mode & 0o022) return degraded(`${dataDir} can be written by other users`, `chmod 700 ${dataDir}`)
    const { bavail, bsize } = await statfs(dataDir)
    const detail = `${dataDir}, ${((bavail * bsize) / GIB).toFixed(1)} GiB free`
    if (bavail * bsize < LEAST_FREE)
      return degraded(detail, 'Free some space, or set CAISSON_DATA_DIR to a larger disk.')
    return ok(detail)
  } catch (error) {
    return missing(`${dataDir}: ${reason(error)}`, 'Make it writable for this user, or set CAISSON_DATA_DIR.')
  }
}

async function tryWrite(path: string): Promise<void> {
  try {
    await using file = await open(path, 'wx', 0o600)
    await file.writeFile('.')
    await file.sync()
  } finally {
    await rm(path, { force: true })
  }
}

/** Binds the configured address for an instant. @param listen `host:port`, or null for the unix socket only. */
export async function listener(listen: string | null): Promise<Finding> {
  if (listen === null) return ok('unix socket only; no TCP listener is configured')
  const at = listen.lastIndexOf(':')
  const [host, port] = [listen.slice(0, at).replace(/^\[|\]$/g, ''), Number(listen.slice(at + 1))]
  const server = createServer()
  const error = await new Promise<NodeJS.ErrnoException | null>((done) => {
    server.once('error', done)
    server.listen({ host, port, exclusive: true }, () => server.close(() => done(null)))
  })
  if (error === null) return ok(`${listen} can be bound`)
  if (error.code === 'EADDRINUSE')
    return degraded(`${listen} is in use, by a running server or another program`, null)
  return missing(`${listen}: ${error.message}`, 'Choose another address, or a port from 1024 on.')
}
