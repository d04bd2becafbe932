import { Refused } from './errors.ts'
import type { Route } from './route.ts'

export type Found = { route: Route; params: Record<string, string> } | { allowed: string[] } | null

interface Place {
  segments: readonly string[]
  methods: Map<string, Route>
}

/** Finds the route of a method and a path. Where several paths match, the one with the earlier fixed segment wins. */
export class Router {
  readonly #fixed = new Map<string, Place>()
  readonly #patterns: Place[] = []

  /** @throws TypeError for two routes of the same method and path, or name */
  constructor(routes: readonly Route[]) {
    const names = new Set<string>()
    for (const route of routes) {
      if (names.has(route.name)) throw new TypeError(`two routes are named ${route.name}`)
      names.add(route.name)
      this.#add(route)
    }
    this.#patterns.sort((a, b) => compare(a.segments, b.segments))
  }

  /**
   * @param path without a query
   * @returns null: no route has this path; `allowed`: none with this method
   * @throws Refused 400 for a path that is not valid percent-encoded UTF-8
   */
  find(method: string, path: string): Found {
    const asked = path.split('/')
    const matching = [this.#fixed.get(path), ...this.#patterns.filter((each) => fits(each, asked))].filter(
      (place) => place !== undefined,
    )
    for (const { segments, methods } of matching) {
      const route = methods.get(method)
      if (route !== undefined) return { route, params: paramsOf(segments, asked) }
    }
    if (matching.length === 0) return null
    return { allowed: [...new Set(matching.flatMap(({ methods }) => [...methods.keys()]))] }
  }

  #add(route: Route): void {
    const segments = route.path.split('/')
    const shape = segments.map((segment) => (isParameter(segment) ? '{}' : segment)).join('/')
    const known = segments.some(isParameter)
      ? this.#patterns.find((each) => each.segments.map(blank).join('/') === shape)
      : this.#fixed.get(route.path)
    if (known?.methods.has(route.method)) throw new TypeError(`${route.method} ${route.path} is there twice`)
    if (known !== undefined && known.segments.join('/') !== route.path)
      throw new TypeError(`${route.path} and ${known.segments.join('/')} name the same segment differently`)
    const place = known ?? { segments, methods: new Map() }
    place.methods.set(route.method, route)
    if (known !== undefined) return
    if (segments.some(isParameter)) this.#patterns.push(place)
    else this.#fixed.set(route.path, place)
  }
}

const isParameter = (segment: string): boolean => segment.startsWith('{')
const blank = (segment: string): string => (isParameter(segment) ? '{}' : segment)

function fits({ segments }: Place, asked: readonly string[]): boolean {
  if (segments.length !== asked.length) return false
  return segments.every((segment, at) => (isParameter(segment) ? asked[at] !== '' : segment === asked[at]))
}

function compare(a: readonly string[], b: readonly string[]): number {
  for (let at = 0; at < Math.min(a.length, b.length); at++) {
    const difference = Number(isParameter(a[at] as string)) - Number(isParameter(b[at] as string))
    if (difference !== 0) return difference
  }
  return 0
}

function paramsOf(segments: readonly string[], asked: readonly string[]): Record<string, string> {
  const params: Record<string, string> = Object.create(null)
  segments.forEach((segment, at) => {
    if (isParameter(segment)) params[segment.slice(1, -1)] = decode(asked[at] as string)
  })
  return params
}

function decode(text: string): string {
  try {
    return decodeURIComponent(text)
  } catch (cause) {
    throw new Refused(400, 'the path is not valid percent-encoded UTF-8', {}, { cause })
  }
}
