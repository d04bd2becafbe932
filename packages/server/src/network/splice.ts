import type { Socket } from 'node:net'
import type { Duplex } from 'node:stream'

/** A connection on which nothing moves for so long is closed. */
export const IDLE_MS = 3_600_000

/** Passes bytes both ways until both sides have ended, each of which may end first. One that breaks breaks the other. */
export function splice(one: Socket, other: Socket): void {
  join(one, other)
  join(other, one)
}

function join(from: Socket, to: Socket): void {
  from.on('error', () => {})
  from.on('close', () => {
    // What the other side has not taken yet is still on its way when this side has ended in good order.
    if (!from.readableEnded || !from.writableFinished) reset(to)
  })
  from.setTimeout(IDLE_MS, () => reset(from))
  from.pipe(to)
}

/** The other end is to see an error, not an end. */
export function reset(stream: Duplex & { resetAndDestroy?: () => unknown }): void {
  if (stream.destroyed) return
  if (stream.resetAndDestroy) stream.resetAndDestroy()
  else stream.destroy()
}
