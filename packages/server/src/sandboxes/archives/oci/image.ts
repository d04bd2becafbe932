import { z } from 'zod'
import { ImageError } from './image-error.ts'
import { type ImageStore, readJson } from './store.ts'

/** An image as its own files describe it. Nothing of its layers was read yet. */
export interface OciImage {
  /** Of the manifest, or where there is none of the configuration: what it is known by. */
  digest: string
  layers: Layer[]
  env: Record<string, string>
  /** As the image says it: a name or a number, and `:group`. */
  user: string
  /** What it says that no sandbox does. */
  ignored: string[]
}

export interface Layer {
  /** In the store. */
  name: string
  compression: Compression
  /** SHA-256 of its bytes, and their number; null: only the files are known by a digest. */
  blob: { digest: string; size: number } | null
  /** SHA-256 of the tar archive. */
  diffId: string
}

export type Compression = 'none' | 'gzip' | 'zstd'

const MAX_LAYERS = 128

const digest = z.string().regex(/^sha256:[0-9a-f]{64}$/, 'is no sha256 digest')
const Descriptor = z.object({
  mediaType: z.string().optional(),
  digest,
  size: z.int().min(0),
  urls: z.array(z.string()).optional(),
  platform: z.object({ architecture: z.string(), os: z.string() }).optional(),
})
type Descriptor = z.infer<typeof Descriptor>

const Index = z.object({ manifests: z.array(Descriptor).max(1000) })
const Manifest = z.object({ config: Descriptor, layers: z.array(Descriptor) })
const Docker = z.array(z.object({ Config: z.string(), Layers: z.array(z.string()).nullable() }))
const Config = z.object({
  architecture: z.string(),
  os: z.string(),
  rootfs: z.object({ type: z.literal('layers'), diff_ids: z.array(digest) }),
  config: z
    .object({
      User: z.string().max(256).nullish(),
      Env: z.array(z.string().max(131_072)).max(1000).nullish(),
      Entrypoint: z.unknown().optional(),
      Cmd: z.unknown().optional(),
      WorkingDir: z.string().nullish(),
    })
    .nullish(),
})

const ARCHITECTURES: Record<string, string> = { x64: 'amd64', arm64: 'arm64' }

const INDEX_TYPES = [
  'application/vnd.oci.image.index.v1+json',
  'application/vnd.docker.distribution.manifest.list.v2+json',
]
const MANIFEST_TYPES = [
  'application/vnd.oci.image.manifest.v1+json',
  'application/vnd.docker.distribution.manifest.v2+json',
]
const CONFIG_TYPES = [
  'application/vnd.oci.image.config.v1+json',
  'application/vnd.docker.container.image.v1+json',
]
const LAYER_TYPES: Record<string, Compression> = {
  'application/vnd.oci.image.layer.v1.tar': 'none',
  'application/vnd.oci.image.layer.v1.tar+gzip': 'gzip',
  'application/vnd.oci.image.layer.v1.tar+zstd': 'zstd',
  'application/vnd.docker.image.rootfs.diff.tar': 'none',
  'application/vnd.docker.image.rootfs.diff.tar.gzip': 'gzip',
  'application/vnd.docker.image.rootfs.diff.tar.zstd': 'zstd',
}

/** The one image of a store, an OCI layout or what `docker save` writes, for this machine. @throws ImageError */
export async function readImage(store: ImageStore): Promise<OciImage> {
  const index = await readJson(store, 'index.json')
  if (index !== null) return fromLayout(store, parse(Index, index, 'index.json'))
  const docker = await readJson(store, 'manifest.json')
  if (docker !== null) return fromDocker(store, parse(Docker, docker, 'manifest.json'))
  throw new ImageError('it has neither an index.json (OCI) nor a manifest.json (docker save)')
}

async function fromLayout(store: ImageStore, index: z.infer<typeof Index>): Promise<OciImage> {
  let chosen = choose(index.manifests)
  for (let depth = 0; INDEX_TYPES.includes(chosen.mediaType ?? ''); depth++) {
    if (depth > 2) throw new ImageError('its indexes name each other')
    chosen = choose(parse(Index, await blob(store, chosen, INDEX_TYPES), 'an index').manifests)
  }
  const manifest = parse(Manifest, await blob(store, chosen, MANIFEST_TYPES), 'its manifest')
  const config = parse(Config, await blob(store, manifest.config, CONFIG_TYPES), 'its configuration')
  const layers = manifest.layers.map((layer) => toLayer(layer))
  return describe(hexOf(chosen.digest), config, layers)
}

async function fromDocker(store: ImageStore, images: z.infer<typeof Docker>): Promise<OciImage> {
  const [image, ...others] = images
  if (image === undefined) throw new ImageError('it is an archive without an image')
  if (others.length > 0) throw new ImageError('it is an archive of several images')
  const value = await readJson(store, image.Config)
  if (value === null) throw new ImageError('its configuration is missing')
  const config = parse(Config, value, 'its configuration')
  const digest = /([0-9a-f]{64})(?:\.json)?$/.exec(image.Config)?.[1]
  if (digest === undefined) throw new ImageError('its configuration has no digest for a name')
  await readJson(store, image.Config, digest)
  const layers = (image.Layers ?? []).map((name) => ({ name, compression: 'none' as const, blob: null }))
  return describe(digest, config, layers)
}

/** The manifest for this machine, or the only one. */
function choose(manifests: Descriptor[]): Descriptor {
  const architecture = ARCHITECTURES[process.arch]
  const images = manifests.filter(({ platform }) => platform?.os !== 'unknown')
  const ours = images.filter(({ platform: p }) => p?.os === 'linux' && p.architecture === architecture)
  const [first, second] = ours.length > 0 ? ours : images.filter(({ platform }) => platform === undefined)
  if (first === undefined) {
    const there = images.map(({ platform: p }) => `${p?.os}/${p?.architecture}`).slice(0, 20)
    throw new ImageError(
      there.length === 0
        ? 'its index names no image'
        : `it is for ${there.join(', ')}, and not for linux/${architecture}`,
    )
  }
  if (second !== undefined && second.digest !== first.digest && ours.length === 0)
    throw new ImageError('it is an archive of several images')
  return first
}

async function blob(store: ImageStore, { digest, size, urls, mediaType }: Descriptor, types: string[]) {
  if (urls !== undefined && urls.length > 0) throw new ImageError('a part of it lies elsewhere (urls)')
  if (mediaType !== undefined && !types.includes(mediaType))
    throw new ImageError(`a part of it has the unknown type "${mediaType}"`)
  const name = nameOf(digest)
  const found = await store.size(name)
  if (found === null) throw new ImageError(`${name} is missing`)
  if (found !== size)
    throw new ImageError(`${name} has ${found} bytes, and not the ${size} that are told of it`)
  return readJson(store, name, hexOf(digest))
}

function toLayer({ mediaType = '', digest, size, urls }: Descriptor): Omit<Layer, 'diffId'> {
  if ((urls !== undefined && urls.length > 0) || /foreign|nondistributable/.test(mediaType))
    throw new ImageError('a layer of it lies elsewhere (urls, or a foreign layer)')
  const compression = LAYER_TYPES[mediaType]
  if (compression === undefined) throw new ImageError(`a layer has the unknown type "${mediaType}"`)
  return { name: nameOf(digest), compression, blob: { digest: hexOf(digest), size } }
}

function describe(
  digest: string,
  { architecture, os, rootfs, config }: z.infer<typeof Config>,
  layers: Omit<Layer, 'diffId'>[],
): OciImage {
  const ours = ARCHITECTURES[process.arch]
  if (os !== 'linux' || architecture !== ours)
    throw new ImageError(`it is for ${os}/${architecture}, and not for linux/${ours}`)
  if (layers.length === 0) throw new ImageError('it has no layers')
  if (layers.length > MAX_LAYERS) throw new ImageError(`it has more than ${MAX_LAYERS} layers`)
  if (layers.length !== rootfs.diff_ids.length)
    throw new ImageError(`it has ${layers.length} layers, and digests of ${rootfs.diff_ids.length}`)
  return {
    digest,
    layers: layers.map((layer, at) => ({ ...layer, diffId: hexOf(rootfs.diff_ids[at]!) })),
    env: environmentOf(config?.Env ?? []),
    user: userOf(config?.User ?? ''),
    ignored: ignoredOf(config),
  }
}

function environmentOf(entries: string[]): Record<string, string> {
  const env: Record<string, string> = {}
  for (const entry of entries) {
    const equals = entry.indexOf('=')
    const name = entry.slice(0, equals)
    if (equals <= 0 || !/^[A-Za-z_][A-Za-z0-9_.-]*$/.test(name) || entry.includes('\0'))
      throw new ImageError('its environment has an entry that is no variable')
    env[name] = entry.slice(equals + 1)
  }
  return env
}

function userOf(user: string): string {
  // By number: an image need not have a file of users.
  if (user === '') return '0'
  if (!/^[A-Za-z0-9_.-]+(:[A-Za-z0-9_.-]+)?$/.test(user))
    throw new ImageError('its user is no name or number')
  return user
}

function ignoredOf(config: z.infer<typeof Config>['config']): string[] {
  const ignored: string[] = []
  if (isSet(config?.Entrypoint)) ignored.push('its entry point')
  if (isSet(config?.Cmd)) ignored.push('its command')
  if (config?.WorkingDir && config.WorkingDir !== '/') ignored.push('its working directory')
  return ignored
}

const isSet = (list: unknown) => Array.isArray(list) && list.length > 0

function parse<T>(schema: z.ZodType<T>, value: unknown, what: string): T {
  const parsed = schema.safeParse(value)
  if (parsed.success) return parsed.data
  const [issue] = parsed.error.issues
  throw new ImageError(`${what} is not valid: ${issue?.path.join('.')} ${issue?.message}`)
}

function hexOf(digest: string): string {
  return digest.slice('sha256:'.length)
}

function nameOf(digest: string): string {
  return `blobs/sha256/${hexOf(digest)}`
}
