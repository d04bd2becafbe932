const VARIABLE = /\$\$\{|\$\{([^}]*)\}?/g
/** What `$${` stands for. */
const ESCAPED = '\u0024{'
const NAME = /^[A-Za-z_][A-Za-z0-9_]*$/

/**
 * Puts values in place of `${NAME}`; `$${` stays as `${`. Values are taken as they are: what looks like a variable in
 * one is none.
 *
 * @param values where values come from, and nowhere else
 * @param used is told of each name that a value was found for
 * @throws Error that says which variable is unknown, or what is none
 */
export function substitute(
  text: string,
  values: Readonly<Record<string, string>>,
  used: (name: string) => void = () => {},
): string {
  return text.replace(VARIABLE, (whole, name: string | undefined) => {
    if (name === undefined) return ESCAPED
    if (!whole.endsWith('}'))
      throw new Error(`has "${ESCAPED}" without "}"; write "$${ESCAPED}" for "${ESCAPED}"`)
    if (!NAME.test(name))
      throw new Error(`has "${whole}", which is no variable; write "$${ESCAPED}" for "${ESCAPED}"`)
    if (!Object.hasOwn(values, name))
      throw new Error(`needs ${name}, which was not given; --env ${name}=… gives it`)
    used(name)
    return values[name]!
  })
}
