import { SandboxError } from '@caisson/protocol/errors'

/** Requests and tunnels at once. An agent has 192 slots for connections, of which SSH and idle ones need some. */
const PER_SANDBOX = 128
const IN_ALL = 2048

/** Counts what is under way, so that one sandbox's visitors leave room for the others'. */
export class Limits {
  readonly #bySandbox = new Map<string, number>()
  #inAll = 0

  /** @returns the undo, which may be called again. @throws SandboxError `too_many` */
  enter(sandbox: string): () => void {
    const here = this.#bySandbox.get(sandbox) ?? 0
    if (here >= PER_SANDBOX) throw tooMany('requests to the exposed ports of this sandbox', PER_SANDBOX)
    if (this.#inAll >= IN_ALL) throw tooMany('requests to exposed ports of this server', IN_ALL)
    this.#bySandbox.set(sandbox, here + 1)
    this.#inAll++
    let inside = true
    return () => {
      if (!inside) return
      inside = false
      this.#leave(sandbox)
    }
  }

  #leave(sandbox: string): void {
    this.#inAll--
    const left = (this.#bySandbox.get(sandbox) ?? 0) - 1
    if (left > 0) this.#bySandbox.set(sandbox, left)
    else this.#bySandbox.delete(sandbox)
  }
}

function tooMany(what: string, limit: number): SandboxError {
  return new SandboxError('too_many', { what, limit })
}
