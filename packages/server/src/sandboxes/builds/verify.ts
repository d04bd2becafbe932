import type { CatalogueEntry, RuntimeImage } from '../../storage/images/catalogue.ts'
import type { Context } from '../context.ts'
import { type Builder, withBuilder } from './builder.ts'
import type { Progress } from './shared.ts'

/** Runs what proves that an image has what it promises, without a network. @throws SandboxError `build_failed` */
export async function verify(
  context: Context,
  { recipe }: CatalogueEntry,
  image: RuntimeImage,
  progress: Progress,
): Promise<void> {
  if (recipe.verify.length === 0) return
  const wanted = { what: `Runtime "${recipe.id}"`, image, layers: [], sources: [] }
  const work = async (builder: Builder) => {
    for (const argv of recipe.verify) {
      const said = await builder.run(argv, { user: image.user.name })
      const line = said.trim().split('\n')[0]?.slice(0, 80)
      progress(`${argv.join(' ').slice(0, 80)}: ${line || 'ok'}`)
    }
  }
  await withBuilder(context, wanted, work, () => progress('trying what it promises'))
}

/** The same for a Debian tree, which is removed when it fails. */
export async function verifyTree(
  context: Context,
  entry: CatalogueEntry,
  digest: string,
  progress: Progress,
): Promise<void> {
  const { images } = context
  try {
    await verify(context, entry, await images.byDigest(entry.recipe.id, digest), progress)
  } catch (error) {
    const bad = (await images.stored()).find((one) => one.folder === entry.folder && one.digest === digest)
    if (bad !== undefined) await images.remove(bad)
    throw error
  }
}
