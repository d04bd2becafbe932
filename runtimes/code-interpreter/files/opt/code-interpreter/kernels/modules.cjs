'use strict'
// What a module may say and a console may not: `import` and `export` become what a console understands.

const { constants, runInThisContext } = require('node:vm')
const { parse } = require('../acorn/dist/acorn.js')

/** A function that imports as a file in this directory would. */
exports.importer = (directory) =>
  runInThisContext('(name, options) => import(name, options)', {
    filename: `${directory}/cell.js`,
    importModuleDynamically: constants.USE_MAIN_CONTEXT_DEFAULT_LOADER,
  })

/** @returns the code as it is when it cannot be read: whoever evaluates it says why. */
exports.transform = (code) => {
  if (!/\b(import|export)\b/.test(code)) return code
  const program = read(code)
  if (program === null) return code
  const changes = []
  collect(program, code, changes)
  changes.sort((a, b) => b.start - a.start)
  return changes.reduce((text, { start, end, by }) => text.slice(0, start) + by + text.slice(end), code)
}

function read(code) {
  for (const sourceType of ['module', 'script'])
    try {
      return parse(code, { ecmaVersion: 'latest', sourceType, allowAwaitOutsideFunction: true })
    } catch {
      // The other one may do.
    }
  return null
}

function collect(node, code, changes) {
  if (Array.isArray(node)) for (const one of node) collect(one, code, changes)
  if (typeof node?.type !== 'string') return
  const { type, start, end } = node
  if (type === 'ImportDeclaration') changes.push({ start, end, by: declaration(node, code) })
  else if (type === 'ImportExpression') changes.push({ start, end: start + 'import'.length, by: '__import' })
  else if (type === 'ExportNamedDeclaration' && node.declaration)
    changes.push({ start, end: node.declaration.start, by: '' })
  for (const [name, inner] of Object.entries(node))
    if (name !== 'type' && typeof inner === 'object' && inner !== null) collect(inner, code, changes)
}

/** `import a, { b as c } from 'd'` as a `const`. */
function declaration({ specifiers, source, attributes = [] }, code) {
  const type = attributes.map(({ key, value }) => `${code.slice(key.start, key.end)}: ${value.raw}`).join(', ')
  const load = `await __import(${source.raw}${type && `, { with: { ${type} } }`})`
  const space = specifiers.find((one) => one.type === 'ImportNamespaceSpecifier')
  const names = specifiers.filter((one) => one !== space).map(named)
  if (space && names.length > 0) return `const ${space.local.name} = ${load}; const { ${names} } = ${space.local.name};`
  if (space) return `const ${space.local.name} = ${load};`
  return names.length > 0 ? `const { ${names.join(', ')} } = ${load};` : `${load};`
}

function named({ type, imported, local }) {
  const name = type === 'ImportDefaultSpecifier' ? 'default' : (imported.name ?? imported.raw)
  return `${name}: ${local.name}`
}
