import { setTimeout as delay } from 'node:timers/promises'
import type { RuntimeImage } from '../storage/images/catalogue.ts'
import { type Context, join } from './context.ts'
import { createLive, type Made } from './create-live.ts'
import { endSandbox } from './end-sandbox.ts'
import type { Live } from './live.ts'
import { holdSave } from './saved/hold.ts'
import { memoryOf, whyNoMemory, withMemory } from './saved/memory.ts'
import { saveRoot } from './saved/save-root.ts'
import { withNewSave } from './saved/saves.ts'
import { launchProgram } from './start-program.ts'

/** Milliseconds after the first sandbox of a runtime: whoever made that has the machine for themselves first. */
const AFTER = 3000
/** Raise it when what is kept of the same image would be another. */
const KEEPER = 1

/** Images that were tried by this server. */
const tried = new WeakMap<Context, Set<string>>()

const digestOf = ({ digest }: RuntimeImage) => `program ${KEEPER} ${digest}`

/**
 * What a sandbox of a runtime with a program is made of when that program was kept as it ran; `made` when it was not.
 * @param holds keeps it from being collected
 */
export async function warmOf(context: Context, made: Made, holds: DisposableStack): Promise<Made> {
  if (!hasProgram(made)) return made
  const known = await context.store.layers.find(digestOf(made.image), Date.now())
  if (known === null) return made
  holds.use(holdSave(context, known.save))
  return { ...made, from: known.save, memory: 'program', record: { ...made.record, base: known.save } }
}

/** Keeps the program of a runtime as it runs, in a while, for the sandboxes that come after this one. */
export function warmLater(context: Context, made: Made): void {
  if (!hasProgram(made) || !context.config.warmStarts || whyNoMemory(context) !== null) return
  const { image } = made
  const known = tried.get(context) ?? new Set<string>()
  tried.set(context, known)
  if (known.has(image.digest)) return
  known.add(image.digest)
  const work = async () => {
    await delay(AFTER, undefined, { ref: false })
    if (context.stopping || (await context.store.layers.find(digestOf(image), Date.now())) !== null) return
    await keepProgram(context, image)
  }
  join(context, `warming ${image.digest}`, work).catch((err) =>
    context.log.warn({ runtime: image.runtime, err }, 'its program is started anew in each sandbox'),
  )
}

/** Packages lie on the image, and the program was started without them. */
function hasProgram(
  made: Made,
): made is Made & { image: RuntimeImage & Required<Pick<RuntimeImage, 'start'>> } {
  return made.image?.start !== undefined && made.from === null && made.layers.length === 0
}

async function keepProgram(
  context: Context,
  image: RuntimeImage & Required<Pick<RuntimeImage, 'start'>>,
): Promise<void> {
  const what = `the program of ${image.runtime}`
  const record = { internal: 'build' as const, start: null, ports: [], network: null }
  const input = { idleTimeout: 0, description: `keeping ${what}`, metadata: { caisson: 'program' } }
  const { live } = await createLive(context, input, 'oneshot', { image, layers: [], from: null, record })
  try {
    await launchProgram(context, live, image.start, {})
    if (image.start.settled !== undefined)
      await launchProgram(context, live, { command: null, ready: image.start.settled }, {})
    await save(context, live, digestOf(image), what)
    context.log.info({ runtime: image.runtime }, 'its program is kept as it runs')
  } finally {
    await endSandbox(context, live.record, 'completed')
  }
}

function save(context: Context, live: Live, digest: string, what: string): Promise<void> {
  return withNewSave(context, { passing: false }, async (save) => {
    const dump = memoryOf(save)
    await withMemory(context, dump, async () => {
      await saveRoot(context, live.record, save, 'program:saved', dump)
      const now = Date.now()
      await context.store.layers.insert({ digest, save, what, createdAt: now, usedAt: now })
    })
  })
}
