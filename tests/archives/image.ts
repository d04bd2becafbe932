import { type Entry, gzip, sha256, tar } from './world.ts'

const ARCH = process.arch === 'x64' ? 'amd64' : process.arch
const LAYER = 'application/vnd.oci.image.layer.v1.tar'

/** A layer of an image: its tar archive, and how it is stored. */
export interface MadeLayer {
  tar: Buffer
  stored: Buffer
  type: string
}

export async function layer(entries: Entry[], compressed = true): Promise<MadeLayer> {
  const bytes = await tar(entries)
  return compressed
    ? { tar: bytes, stored: gzip(bytes), type: `${LAYER}+gzip` }
    : { tar: bytes, stored: bytes, type: LAYER }
}

export interface Change {
  config?: object
  manifest?: object
  index?: object
  /** Of the manifest's entry for each layer. */
  layers?: object
  /** Of the files, by name; null: there is none. */
  files?: Record<string, Buffer | string | null>
}

/** An OCI layout as an archive, with what a test wants otherwise. */
export async function layout(layers: MadeLayer[], change: Change = {}): Promise<Buffer> {
  const files = new Map<string, Buffer>()
  const put = (bytes: Buffer, mediaType: string) => {
    files.set(`blobs/sha256/${sha256(bytes)}`, bytes)
    return { mediaType, digest: `sha256:${sha256(bytes)}`, size: bytes.length }
  }
  const json = (value: object) => Buffer.from(JSON.stringify(value))
  const config = {
    ...{ architecture: ARCH, os: 'linux', config: {} },
    rootfs: { type: 'layers', diff_ids: layers.map((each) => `sha256:${sha256(each.tar)}`) },
    ...change.config,
  }
  const manifest = {
    schemaVersion: 2,
    config: put(json(config), 'application/vnd.oci.image.config.v1+json'),
    layers: layers.map((each) => ({ ...put(each.stored, each.type), ...change.layers })),
    ...change.manifest,
  }
  const described = put(json(manifest), 'application/vnd.oci.image.manifest.v1+json')
  const index = { schemaVersion: 2, manifests: [described], ...change.index }
  files.set('oci-layout', json({ imageLayoutVersion: '1.0.0' }))
  files.set('index.json', json(index))
  for (const [name, bytes] of Object.entries(change.files ?? {}))
    if (bytes === null) files.delete(name)
    else files.set(name, Buffer.from(bytes))
  return tar([...files].map(([path, text]) => ({ path, text })))
}

/** The same as `docker save` writes it. */
export async function dockerArchive(layers: MadeLayer[], config: object = {}): Promise<Buffer> {
  const whole = Buffer.from(
    JSON.stringify({
      ...{ architecture: ARCH, os: 'linux', config },
      rootfs: { type: 'layers', diff_ids: layers.map((each) => `sha256:${sha256(each.tar)}`) },
    }),
  )
  const name = `${sha256(whole)}.json`
  const manifest = [{ Config: name, RepoTags: ['x:y'], Layers: layers.map((_, at) => `${at}/layer.tar`) }]
  return tar([
    { path: name, text: whole },
    ...layers.map((each, at) => ({ path: `${at}/layer.tar`, text: each.tar })),
    { path: 'manifest.json', text: JSON.stringify(manifest) },
  ])
}
