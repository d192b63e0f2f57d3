/** The examples of doc comments, READMEs and documentation. */
import { readFileSync } from "node:fs"
import { join } from "node:path"
import { publicPackages } from "@spikeroute/publish-tools"

export interface Example {
  /** Where it begins: `packages/core/src/random.ts:58`. */
  readonly place: string
  readonly code: string
}

const lineOf = (text: string, index: number): number => text.slice(0, index).split("\n").length

/** Of a module's doc comments: from `@example` to the next tag or the end. */
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

/** Of a page: its blocks of TypeScript. */
const ofPage = (path: string, text: string): ReadonlyArray<Example> =>
  Array.from(text.matchAll(/^```ts\n([\s\S]*?)^```/gm), ({ 1: code = "", index }) => ({
    place: `${path}:${lineOf(text, index)}`,
    code,
  }))

/** All examples of the packages that are published, of the README and of the documentation. */
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

/** The import of a module of WebAssembly or of a data file. */
const forBundlers = /^import .* from ".*\.(wasm|safetensors)"\n/m

/**
 * An example as a module. Those of pages are complete programs, unless they are for bundlers; in those of doc comments, names
 * that the prelude exports are imported, and `yield*` and `await` stand in a function.
 */
export const moduleOf = ({ place, code }: Example, prelude: ReadonlyArray<string>): string => {
  if (place.includes(".md:") && !forBundlers.test(code)) return code
  // Modules of WebAssembly and data files are bundlers' business: the prelude has them.
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
