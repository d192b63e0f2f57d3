/** Extracts the examples of doc comments, READMEs and documentation. */
import { readFileSync } from "node:fs"
import { join } from "node:path"
import { publicPackages } from "@spikeroute/publish-tools"

export interface Example {
  /** Its position: `packages/core/src/random.ts:58`. */
  readonly place: string
  readonly code: string
}

const lineOf = (text: string, index: number): number => text.slice(0, index).split("\n").length

/** Examples in a module's doc comments: from `@example` to the next tag or the end. */
const ofSource = (path: string, text: string): ReadonlyArray<Example> =>
  Array.from(
    text.matchAll(/\/\*\*(?:[^*]|\*(?!\/))*?@example\b((?:[^*]|\*(?!\/))*)\*\//g),
    ({ 0: comment, 1: body = "", index }) => ({
      place: `${path}:${lineOf(text, index + comment.indexOf("@example"))}`,
      code: body
        .replaceAll(/^\s*\* ?/gm, "")
        .split(/^@\w+/m)[0]
        ?.trim() as string,
    }),
  )

/** Examples in a page: its TypeScript blocks. */
const ofPage = (path: string, text: string): ReadonlyArray<Example> =>
  Array.from(text.matchAll(/^```ts\n([\s\S]*?)^```/gm), ({ 1: code = "", index }) => ({
    place: `${path}:${lineOf(text, index)}`,
    code,
  }))

/** All examples of published packages, of the README and of the documentation. */
export const examples = async (repository: string): Promise<ReadonlyArray<Example>> => {
  const read = (path: string) => readFileSync(join(repository, path), "utf8")
  const folders = (await publicPackages(repository)).map(({ folder }) => folder)
  const sources = folders.flatMap((folder) => [...new Bun.Glob(`${folder}/src/**/*.ts`).scanSync({ cwd: repository })])
  const docs = [...new Bun.Glob("docs/**/*.md").scanSync({ cwd: repository })].sort()
  const pages = ["README.md", ...docs, ...folders.map((folder) => `${folder}/README.md`)]
  return [
    ...sources.sort().flatMap((path) => ofSource(path, read(path))),
    ...pages.flatMap((path) => ofPage(path, read(path))),
  ]
}

/** An import of a WebAssembly module or a data file, which only bundlers support. */
const forBundlers = /^import .* from ".*\.(wasm|safetensors)"\n/m

/**
 * An example as a module. Examples in pages are complete programs unless they need a bundler. In doc comments, names exported by the prelude
 * are imported, and `yield*` and `await` are wrapped in a function.
 */
export const moduleOf = ({ place, code }: Example, prelude: ReadonlyArray<string>): string => {
  if (place.includes(".md:") && !forBundlers.test(code)) return code
  // The prelude provides the WebAssembly modules and data files.
  const own = code.replaceAll(new RegExp(forBundlers, "gm"), "")
  const imports = own.match(/^import .*\n/gm) ?? []
  const body = own.replaceAll(/^import .*\n/gm, "").trim()
  const declarations = [...imports, ...(body.match(/(?<=\bconst )(\{[^}]*\}|\w+)/g) ?? [])]
  const bound = new Set(declarations.flatMap((text) => text.match(/\w+/g) ?? []))
  const used = prelude.filter((name) => !bound.has(name) && new RegExp(`(?<![.\\w])${name}\\b(?!:)`).test(body))
  const wrapped = body.includes("yield*")
    ? `export const example = Effect.gen(function* () {\n${body}\n})`
    : `export const example = Effect.promise(async () => {\n${body}\n})`
  const needed = new Set(bound.has("Effect") ? used : [...used, "Effect"])
  return `${imports.join("")}import { ${[...needed].join(", ")} } from "../../src/examples/prelude.ts"\n${wrapped}\n`
}
