import type { IncomingMessage, ServerResponse } from 'node:http'

const HEADERS = {
  'access-control-allow-origin': '*',
  'access-control-expose-headers': '*',
  'cache-control': 'no-store',
  'x-content-type-options': 'nosniff',
}

const PREFLIGHT = {
  'access-control-allow-methods': 'GET, POST, PUT, PATCH, DELETE',
  'access-control-max-age': '7200',
}

/**
 * Pages of every origin may call, because they must show a credential in a header: no browser adds one by itself, and
 * there are no cookies.
 */
export function allowEveryOrigin(response: ServerResponse): void {
  for (const [name, value] of Object.entries(HEADERS)) response.setHeader(name, value)
}

/** Whether a browser asks what a page may send. */
export function isPreflight({ method, headers }: IncomingMessage): boolean {
  return method === 'OPTIONS' && headers['access-control-request-method'] !== undefined
}

/** Headers are named one by one: the star does not stand for `Authorization`. */
export function answerPreflight(request: IncomingMessage, response: ServerResponse): void {
  const asked = request.headers['access-control-request-headers'] ?? '*'
  response.writeHead(204, {
    ...PREFLIGHT,
    'access-control-allow-headers': asked,
    vary: 'access-control-request-headers',
  })
  response.end()
}
