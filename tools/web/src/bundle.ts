/**
 * Bundles modules for browsers. Like other bundlers, it follows literal `new URL("./file", import.meta.url)`: a TypeScript file becomes a
 * bundle of its own (a worker), any other file is copied next to the bundle.
 */
import { basename, dirname, resolve } from "node:path"
import type { BunPlugin } from "bun"

export interface BundleOptions {
  /** Minifies and omits source maps, for deployment. */
  readonly minify?: boolean
}

const reference = /new URL\(\s*(["'])(\.[^"'\n]+)\1,\s*import\.meta\.url\s*,?\s*\)/g
const script = /\.[jt]s$/

/** A unique, deterministic name for each file: all bundles and assets share one folder. */
const nameOf = (path: string, extension: string): string =>
  `${basename(path).replace(/\.[^.]+$/, "")}-${Bun.hash(path).toString(36).slice(0, 6)}${extension}`

/** Rewrites references in sources to bundled files; calls `found` for each. */
const follow = (found: (path: string) => string): BunPlugin => ({
  name: "files that modules refer to",
  setup: (build) => {
    build.onLoad({ filter: script }, async ({ path, loader }) => ({
      loader,
      contents: (await Bun.file(path).text()).replace(
        reference,
        (_, _quote, file: string) => `new URL("./${found(resolve(dirname(path), file))}", import.meta.url)`,
      ),
    }))
  },
})

/** Replaces Node's modules by empty ones: code that uses them never runs in a page. */
const withoutNode: BunPlugin = {
  name: "modules of Node",
  setup: (build) => {
    build.onResolve({ filter: /^node:/ }, ({ path }) => ({ path, namespace: "node" }))
    build.onLoad({ filter: /^node:/, namespace: "node" }, () => ({ contents: "module.exports = {}", loader: "js" }))
  },
}

/**
 * Bundles a module and everything that it references. Returns the files by name, relative to the bundle; the module itself is `entry.js`.
 *
 * @throws AggregateError if something cannot be resolved or parsed
 */
export const bundle = async (
  entry: string,
  { minify = false }: BundleOptions = {},
): Promise<ReadonlyMap<string, Blob>> => {
  const files = new Map<string, Blob>()
  const scripts = new Map([[entry, "entry.js"]])
  const found = (path: string): string => {
    const name = scripts.get(path) ?? nameOf(path, script.test(path) ? ".js" : (/\.[^.]+$/.exec(path)?.[0] ?? ""))
    if (script.test(path)) scripts.set(path, name)
    else files.set(name, Bun.file(path))
    return name
  }
  // Iterating a Map includes entries added meanwhile: the workers that a bundle references, and theirs.
  for (const [path, name] of scripts) {
    const { outputs } = await Bun.build({
      entrypoints: [path],
      target: "browser",
      format: "esm",
      minify,
      sourcemap: minify ? "none" : "inline",
      plugins: [follow(found), withoutNode],
    })
    for (const output of outputs) files.set(output.kind === "entry-point" ? name : basename(output.path), output)
  }
  return files
}
