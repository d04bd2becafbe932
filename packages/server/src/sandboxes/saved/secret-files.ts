/** Whatever is in them. Paths have no leading slash; `~` stands for any directory. */
const BY_NAME: RegExp[] = [
  // Shells and consoles.
  /^\.(ba|z|k|a)?sh_history$/,
  /^\.(python|node_repl|psql|mysql|sqlite|rediscli|dbshell|irb)_history$/,
  /^\.(lesshst|viminfo)$/,
  // Passwords and tokens of programs.
  /^\.(netrc|pgpass|my\.cnf|git-credentials|vault-token|pypirc|s3cfg|boto|htpasswd)$/,
  /^_netrc$/,
  /^\.env(\.(?!example$|sample$|template$|dist$|defaults$).+)?$/,
  // Private keys.
  /^(id_(rsa|dsa|ecdsa|ed25519)(_sk)?|ssh_host_\w+_key|\w+\.(ppk|p12|pfx|jks|keystore|kdbx))$/,
]

const BY_PATH: RegExp[] = [
  /(^|\/)\.aws\/(credentials|sso\/|cli\/cache\/)/,
  /(^|\/)\.azure\/(accessTokens|msal_token_cache|azureProfile)/,
  /(^|\/)\.config\/(gh\/hosts\.yml|gcloud\/(.*credentials|access_tokens|legacy_credentials)|rclone\/rclone\.conf|hub|op\/)/,
  /(^|\/)\.(kube\/config|cargo\/credentials(\.toml)?|gem\/credentials|terraform\.d\/credentials\.tfrc\.json)$/,
  /(^|\/)\.(claude\/\.credentials\.json|codex\/auth\.json|local\/share\/opencode\/auth\.json|cache\/huggingface\/token)$/,
  /(^|\/)\.gnupg\/(private-keys-v1\.d\/|secring)/,
]

const PRIVATE_KEY = /-----BEGIN [A-Z ]*PRIVATE KEY/

/** Only with this in them. */
const BY_CONTENT: [name: RegExp, content: RegExp][] = [
  [/\.(pem|key)$/, PRIVATE_KEY],
  [/^\.(npmrc|yarnrc|yarnrc\.yml)$/, /_authToken|_auth\s*=|_password|npmAuth/],
  [/^(pip\.conf|\.condarc)$/, /:\/\/[^/\s:@]+:[^/\s@]+@/],
  [/^config\.json$/, /"(auth|identitytoken)"\s*:/],
]

/**
 * Whether a file is one of those in which secrets are found; a pattern where its content decides.
 * @param path of a regular file, without the leading slash
 */
export function mayHoldSecrets(path: string): boolean | RegExp {
  const name = path.slice(path.lastIndexOf('/') + 1)
  if (BY_NAME.some((pattern) => pattern.test(name)) || BY_PATH.some((pattern) => pattern.test(path)))
    return true
  if (name === 'config.json' && !/(^|\/)\.docker\/config\.json$/.test(path)) return false
  return BY_CONTENT.find(([pattern]) => pattern.test(name))?.[1] ?? false
}
