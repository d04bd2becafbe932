import { expect, test } from 'vitest'
import { parseEntry } from './entry.ts'

test.each([
  ['1.2.3.4', 'range', '1.2.3.4'],
  ['1.2.3.4/32', 'range', '1.2.3.4'],
  ['1.2.0.0/16', 'range', '1.2.0.0/16'],
  ['2001:DB8::1', 'range', '2001:db8::1'],
  ['::ffff:1.2.3.4', 'range', '1.2.3.4'],
  ['Example.COM.', 'name', 'example.com'],
  ['example.com:22', 'name', 'example.com:22'],
  ['*.Example.com', 'below', '*.example.com'],
  ['*.example.com:5432', 'below', '*.example.com:5432'],
  ['*.com', 'below', '*.com'],
  ['*.bücher.example', 'below', '*.xn--bcher-kva.example'],
])('%s is a %s: %s', (text, kind, canonical) => {
  expect(parseEntry(text)).toMatchObject({ kind, text: canonical })
})

test.each([
  ['https://example.com/a', 'write only its host name: "example.com"'],
  ['https://user@example.com', 'write only its host name'],
  ['example.com/path', 'has a path; rules know only hosts; write "example.com"'],
  ['*', 'set "default" to "allow" or "deny"'],
  ['*.', '"*" elsewhere than at its beginning'],
  ['a.*.com', '"*" elsewhere than at its beginning'],
  ['*example.com', '"*" elsewhere than at its beginning'],
  ['*.*.com', '"*" elsewhere than at its beginning'],
  ['1.2.3.4:22', 'only names can have'],
  ['[2001:db8::1]:22', 'only names can have'],
  ['1.2.3.4/16', 'write "1.2.0.0/16"'],
  ['example.com:0', 'no port number'],
  ['example.com:65536', 'no port number'],
  ['example.com:', 'no port number'],
  ['example.com:022', 'no port number'],
  ['example.com:1:2', 'is no address, range or name'],
  ['127.1', 'write four decimal numbers'],
  ['2130706433', 'write four decimal numbers'],
  ['0x7f.0.0.1', 'is no address'],
  ['localhost', 'without a dot'],
  ['intranet-host', 'without a dot'],
  ['metadata.google.internal', "host's own network"],
  ['*.local', "host's own network"],
  ['me@example.com', '"@"'],
  ['exa mple.com', 'blank or a control character'],
  ['evil\0.good.com', 'blank or a control character'],
  ['good.com\n', 'blank or a control character'],
  ['', 'is no address, range or name'],
])('%j is refused: %s', (text, message) => {
  expect(parseEntry(text)).toContain(message)
})
