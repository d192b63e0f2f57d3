/**
 * Bundles modules for browsers. As other bundlers do, it follows `new URL("./file", import.meta.url)` with the text written out:
 * a file of TypeScript, which is a worker, becomes a bundle of its own, any other file is laid beside the bundle.
 */
import { basename, dirname, resolve } from "node:path"
import type { BunPlugin } from "bun"

export interface BundleOptions {
  /** Short code without source maps, for a page that is put on the web. */
  readonly minify?: boolean
}

const reference = /new URL\(\s*(["'])(\.[^"'\n]+)\1,\s*import\.meta\.url\s*,?\s*\)/g
const script = /\.[jt]s$/

/** The same name for the same file, and another for every other file: bundles and assets lie in one folder. */
const nameOf = (path: string, extension: string): string =>
  `${basename(path).replace(/\.[^.]+$/, "")}-${Bun.hash(path).toString(36).slice(0, 6)}${extension}`

/** Points the references in the sources that are bundled to what they become; `found` is told of each. */
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

/** Node's modules are empty in a page: what asks for them there is never run. */
const withoutNode: BunPlugin = {
  name: "modules of Node",
  setup: (build) => {
    build.onResolve({ filter: /^node:/ }, ({ path }) => ({ path, namespace: "node" }))
    build.onLoad({ filter: /^node:/, namespace: "node" }, () => ({ contents: "module.exports = {}", loader: "js" }))
  },
}

/**
 * Bundles a module and all that it refers to: the files by name, relative to the bundle. The module itself becomes `entry.js`.
 *
 * @throws an `AggregateError` of what does not resolve or parse
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
  // A Map's iteration goes on to what is added meanwhile: the workers that a bundle refers to, and those of workers.
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
