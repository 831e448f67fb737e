/** A `.conf` file as text; wrangler bundles it (wrangler.toml, rules). */
declare module '*.conf' {
  const text: string
  export default text
}
