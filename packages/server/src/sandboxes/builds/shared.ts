import { orAborted } from '../../abort.ts'
import type { Context } from '../context.ts'

/** Told of each step of a build as it begins. */
export type Progress = (step: string) => void

interface Build {
  result: Promise<unknown>
  listeners: Set<Progress>
  last: string | null
}

const builds = new WeakMap<Context, Map<string, Build>>()

/**
 * One build for all who want the same. It goes on when those who wait for it have gone, since its result is kept; each
 * waits no longer than its own signal lets it.
 */
export async function share<T>(
  context: Context,
  key: string,
  work: (progress: Progress) => Promise<T>,
  progress?: Progress,
  signal?: AbortSignal,
): Promise<T> {
  const underWay = builds.get(context) ?? new Map<string, Build>()
  builds.set(context, underWay)
  const build = underWay.get(key) ?? begin(underWay, key, work)
  if (progress !== undefined) {
    if (build.last !== null) progress(build.last)
    build.listeners.add(progress)
  }
  try {
    return await orAborted(build.result as Promise<T>, signal)
  } finally {
    if (progress !== undefined) build.listeners.delete(progress)
  }
}

function begin<T>(
  underWay: Map<string, Build>,
  key: string,
  work: (progress: Progress) => Promise<T>,
): Build {
  const listeners = new Set<Progress>()
  const build: Build = { result: Promise.resolve(), listeners, last: null }
  underWay.set(key, build)
  const tell = (step: string) => {
    build.last = step
    for (const listener of listeners) listener(step)
  }
  const result = work(tell).finally(() => underWay.delete(key))
  // Those who waited may have gone.
  result.catch(() => {})
  build.result = result
  return build
}
