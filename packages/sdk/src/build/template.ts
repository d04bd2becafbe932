const YAML = `# What the snapshot is built from: "caisson snapshot build ." in this directory.

# Of the format of this file. Required.
version: 1

# What the snapshot begins with; "caisson runtime list" shows what there is. Required.
runtime: base:latest

# Lower-case letters, digits and hyphens. Default: the name of this directory.
name: my-snapshot

description: What it is for

# Debian packages: "name" or "name=version".
dependencies: []
#  - curl
#  - ffmpeg

# npm packages, installed globally: "name" or "name@version".
packages: []
#  - typescript@5

# Files that go to /home/agent/workspace. The last pattern that matches decides; "!" excludes.
#   *   any characters, but not "/"      **   any number of directories
#   ?   one character                    {a,b}, [a-z], [!a-z]
# Names that begin with a dot are taken only where a pattern says the dot.
files:
  - src/**
  - "*.json"
  - "!**/*.test.*"
  - "!**/node_modules"

# Variables that its sandboxes start with. \${NAME} is what "--env NAME=value" says; $\${ stays \${.
env:
  NODE_ENV: production
#  API_KEY: \${API_KEY}

# Your own data; \${NAME} counts here too.
metadata:
  team: my-team
#  version: \${VERSION}
`

const FIELDS = {
  $comment: [
    'What the snapshot is built from: "caisson snapshot build ." in this directory.',
    'version and runtime are required. name: default is the name of this directory.',
    'dependencies: Debian packages, "name" or "name=version". packages: npm packages, "name" or "name@version".',
    'files go to /home/agent/workspace. The last pattern that matches decides; "!" excludes; "*" does not match "/", "**" does.',
    // biome-ignore lint/suspicious/noTemplateCurlyInString: what a build file says.
    'env and metadata: ${NAME} is what "--env NAME=value" says.',
  ],
  version: 1,
  runtime: 'base:latest',
  name: 'my-snapshot',
  description: 'What it is for',
  dependencies: [],
  packages: [],
  files: ['src/**', '*.json', '!**/*.test.*', '!**/node_modules'],
  env: { NODE_ENV: 'production' },
  metadata: { team: 'my-team' },
}

/** A build file to begin with, every field of it explained. */
export const snapshotTemplate = (format: 'yaml' | 'json' = 'yaml'): string =>
  format === 'yaml' ? YAML : `${JSON.stringify(FIELDS, null, 2)}\n`
