import { SandboxError } from '@caisson/protocol/errors'
import {
  isMap,
  isScalar,
  isSeq,
  LineCounter,
  type Node,
  parseDocument,
  type Scalar,
  type YAMLMap,
} from 'yaml'

/** Something wrong in a build file. */
export interface Issue {
  /** The field, such as "files[2]"; empty: the file as a whole. */
  path: string
  message: string
  /** From 1; undefined: not known. */
  line?: number | undefined
}

/**
 * A build file as it was written: texts stay as they are there, so that a version 1.10 does not become 1.1. What is
 * wrong is gathered, and told at once.
 */
export class BuildDocument {
  readonly #name: string
  readonly #lines = new LineCounter()
  readonly #root: YAMLMap<Scalar<string>, Node | null> | undefined
  readonly #issues: Issue[] = []

  /** @param name of the file, for messages; one that ends in ".json" is strict JSON */
  constructor(text: string, name: string) {
    this.#name = name
    if (name.endsWith('.json')) this.#requireJson(text)
    // Every scalar is a text in this schema; there are no tags, and few aliases.
    const document = parseDocument(text, {
      schema: 'failsafe',
      lineCounter: this.#lines,
      prettyErrors: false,
    })
    for (const { message, pos } of [...document.errors, ...document.warnings])
      this.#issues.push({ path: '', message, line: this.#lines.linePos(pos[0]).line })
    this.finish()
    const root = document.contents
    if (isMap(root)) this.#root = root as YAMLMap<Scalar<string>, Node | null>
    else this.add('', 'must be fields with values, beginning with "version: 1"', root)
    this.finish()
  }

  /** Takes note of a mistake. */
  add(path: string, message: string, at: Node | null | undefined = this.#node(path)): void {
    const line = at?.range ? this.#lines.linePos(at.range[0]).line : undefined
    this.#issues.push({ path, message, line })
  }

  /** @throws SandboxError `invalid_request` when there were mistakes */
  finish(): void {
    if (this.#issues.length === 0) return
    const issues = this.#issues.toSorted((a, b) => (a.line ?? Infinity) - (b.line ?? Infinity))
    const told = issues.map(({ path, message, line }) =>
      [line === undefined ? `${this.#name}:` : `${this.#name}:${line}:`, path && `${path}`, message]
        .filter(Boolean)
        .join(' '),
    )
    throw new SandboxError('invalid_request', { issues }, { message: told.join('\n') })
  }

  /** Names of the fields at the top. */
  fields(): string[] {
    return this.#root?.items.map(({ key }) => String(key.value)) ?? []
  }

  /** A field that is a text; undefined when it is not there, or is something else. */
  text(field: string): string | undefined {
    const node = this.#node(field)
    return node === undefined ? undefined : this.#text(field, node)
  }

  /** A field that is a list of texts; empty when it is not there. */
  list(field: string): string[] {
    const node = this.#node(field)
    if (node === undefined) return []
    if (isSeq<Node | null>(node))
      return node.items.flatMap((item, at) => this.#text(`${field}[${at}]`, item) ?? [])
    this.add(field, 'must be a list, each on a line that begins with "- "')
    return []
  }

  /** A field that is names with texts; empty when it is not there. */
  map(field: string): Record<string, string> {
    const node = this.#node(field)
    const found: Record<string, string> = Object.create(null)
    if (node === undefined) return found
    if (!isMap<Node, Node | null>(node)) this.add(field, 'must be names with values')
    else
      for (const { key, value } of node.items) {
        const name = this.#text(`${field}: a name`, key)
        const text = name === undefined ? undefined : this.#text(`${field}.${name}`, value ?? key)
        if (name !== undefined && text !== undefined) found[name] = text
      }
    return found
  }

  /** A field that is a list of single names with a text; empty when it is not there. */
  entries(field: string): { index: number; name: string; text: string }[] {
    const node = this.#node(field)
    if (node === undefined) return []
    if (!isSeq<Node | null>(node)) {
      this.add(field, 'must be a list, each on a line that begins with "- "')
      return []
    }
    return node.items.flatMap((item, at) => {
      const path = `${field}[${at}]`
      const only = isMap<Node, Node | null>(item) && item.items.length === 1 ? item.items[0] : undefined
      if (only === undefined) this.add(path, 'must be one name with a text, such as "run: make"', item)
      const name = only && this.#text(`${path}: a name`, only.key)
      const text = only && this.#text(path, only.value ?? only.key)
      return name === undefined || text === undefined ? [] : { index: at, name, text }
    })
  }

  #text(path: string, node: Node | null): string | undefined {
    if (isScalar<string>(node) && !isNothing(node)) return node.value
    const what =
      isScalar(node) || node === null ? 'has no value; write "" for an empty one' : 'must be a text'
    this.add(path, what, node)
    return undefined
  }

  /** Of a field at the top, or of an entry of one: "files[2]", "env.NAME". */
  #node(path: string): Node | null | undefined {
    const [, field = '', index, name] = /^([^.[]*)(?:\[(\d+)\]|\.(.*))?$/s.exec(path) ?? []
    const found = this.#root?.items.find(({ key }) => key.value === field)
    if (!found) return undefined
    if (index !== undefined && isSeq<Node>(found.value)) return found.value.items[Number(index)]
    if (name !== undefined && isMap<Scalar, Node>(found.value))
      return found.value.items.find(({ key }) => key.value === name)?.value
    return found.value ?? found.key
  }

  #requireJson(text: string): void {
    try {
      JSON.parse(text)
    } catch (error) {
      this.add('', `is not JSON: ${(error as Error).message}`, null)
      this.finish()
    }
  }
}

/** `KEY:` and `KEY: null`, by which nobody means the text "null". */
const isNothing = (node: Scalar<string>): boolean =>
  node.type === 'PLAIN' && /^(|~|null|Null|NULL)$/.test(node.source ?? '')
