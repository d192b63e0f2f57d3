// Who may import whom, as data, and the check that holds the sources to it. `bun run check` prints what it finds and
// test/imports.test.ts fails on it. It reads imports only: what an import is used for, the compiler and reviewers see.
import { readFileSync } from "node:fs"
import { isBuiltin } from "node:module"
import { dirname, join, normalize } from "node:path"

export interface ImportRule {
  /** The packages it holds for: a folder, or a folder's children (`packages/backends/*`). */
  readonly folder: string
  /** Modules of the workspace that may be imported; `…/*` stands for every subpath. */
  readonly workspace: ReadonlyArray<string>
  /** Packages from elsewhere that may be imported; without it, every declared one. */
  readonly external?: ReadonlyArray<string>
  /** Sources (not tests or scripts) that run on every platform: they import no `node:` or `bun` module and use no such global. */
  readonly withoutGlobals?: ReadonlyArray<string>
  /** What to do instead. */
  readonly instead: string
}

/** Globals that some runtimes lack. */
const ofRuntimes = ["Buffer", "Bun", "Deno", "document", "navigator", "process", "require", "window"]

export const rules: ReadonlyArray<ImportRule> = [
  {
    folder: "packages/core",
    workspace: [],
    external: ["effect", "fast-check"],
    withoutGlobals: ofRuntimes,
    instead: "core runs everywhere and knows no backend: take what it needs as an argument or an Effect service",
  },
  ...["packages/backends/kernels", "packages/backends/reference"].map((folder) => ({
    folder,
    workspace: ["@spikeroute/core", "@spikeroute/core/*"],
    withoutGlobals: ofRuntimes,
    instead: "it runs everywhere and knows core alone: take what it needs as an argument",
  })),
  {
    folder: "packages/backends/*",
    workspace: [
      "@spikeroute/core",
      "@spikeroute/core/*",
      "@spikeroute/backend-kernels",
      "@spikeroute/backend-kernels/*",
      "@spikeroute/backend-webgpu/gpu",
    ],
    instead:
      "a backend knows only core, the CPU kernels and how a GPU is found: move what backends share into core, and compose in an app",
  },
  {
    folder: "packages/datasets",
    workspace: ["@spikeroute/core/options", "@spikeroute/core/random", "@spikeroute/core/text"],
    instead:
      "datasets know of core only its random keys, checks of options and texts for people: compose the rest in an app",
  },
  {
    folder: "packages/nir",
    workspace: ["@spikeroute/core", "@spikeroute/core/text", "@spikeroute/backend-reference"],
    withoutGlobals: ofRuntimes,
    instead: "it knows core alone, and its tests the reference: compose the rest in an app",
  },
  {
    folder: "packages/distributed",
    workspace: [
      "@spikeroute/core",
      "@spikeroute/core/values",
      "@spikeroute/backend-native/cache",
      "@spikeroute/backend-native/foreign",
      "@spikeroute/backend-reference",
    ],
    instead:
      "it knows core, and how the native backend builds and loads libraries: backends are services that applications provide",
  },
  {
    folder: "packages/spikeroute",
    workspace: [
      "@spikeroute/core",
      "@spikeroute/core/values",
      "@spikeroute/backend-wasm",
      "@spikeroute/backend-reference",
    ],
    withoutGlobals: ofRuntimes,
    instead: "it runs core's effects as promises, on a backend that it finds: what is not that belongs into core",
  },
  { folder: "apps/*", workspace: ["@spikeroute/*"], instead: "add it to the table in scripts/import-rules.ts" },
  {
    folder: "test/support",
    workspace: ["@spikeroute/backend-webgpu", "@spikeroute/core", "@spikeroute/core/testing", "@spikeroute/web-tools"],
    instead: "it finds a browser and a GPU, and runs the conformance suite in a page, no more",
  },
  {
    folder: "test/portable",
    workspace: ["@spikeroute/*"],
    instead: "it does what a person does, with the packages and the tools",
  },
  { folder: "tools/*", workspace: [], instead: "a tool knows no package: what it works on is an argument" },
  {
    folder: "examples",
    workspace: ["@spikeroute/*", "spikeroute"],
    instead: "show what a person imports: the packages",
  },
  { folder: "examples/*", workspace: ["@spikeroute/*"], instead: "show what a person imports: the packages" },
  { folder: ".", workspace: [], instead: "scripts and tests of the root look at files, they import no package" },
]

/** What tests of every package may import besides. */
const forTests = "@spikeroute/test-support"

/** Packages whose barrel costs too much at start: imported by subpath only. */
export const subpathOnly: ReadonlyArray<string> = ["@effect/platform-node"]

/** The parts of a package.json that the rules read. */
export interface Manifest {
  readonly name: string
  readonly dependencies?: Readonly<Record<string, string>>
  readonly peerDependencies?: Readonly<Record<string, string>>
  readonly optionalDependencies?: Readonly<Record<string, string>>
  readonly devDependencies?: Readonly<Record<string, string>>
}

export interface Package {
  /** Relative to the repository; "." is its root. */
  readonly folder: string
  readonly manifest: Manifest
}

const readJson = (path: string) => JSON.parse(readFileSync(path, "utf8"))

/** The root and every package of the workspace that lies in `repository`. */
export const packages = (repository: string): ReadonlyArray<Package> => {
  const root: Manifest & { readonly workspaces: ReadonlyArray<string> } = readJson(join(repository, "package.json"))
  const folders = root.workspaces.flatMap((pattern) => [
    ...new Bun.Glob(`${pattern}/package.json`).scanSync({ cwd: repository }),
  ])
  return [
    { folder: ".", manifest: root },
    ...folders.sort().map((path) => ({ folder: dirname(path), manifest: readJson(join(repository, path)) })),
  ]
}

// A comment, a template, a regular expression or a string is passed over; what is left of `from "…"` and `import("…")`
// is captured. Bun's scanner alone would not do: it drops type-only imports.
const importText =
  /\/\/.*|\/\*[\s\S]*?\*\/|`(?:\\[\s\S]|[^\\`])*`|(?<=[=(,:;!&|?{}[\n]\s*)\/(?![*/])(?:\\.|\[(?:\\.|[^\]\\\n])*\]|[^/\\[\n])+\/|\b(?:from|import\s*\(?)\s*(["'])([^"'\n]+)\1|"(?:\\.|[^"\\\n])*"|'(?:\\.|[^'\\\n])*'/g

/** Every module that the source text imports, types included. */
export const importsOf = (source: string): ReadonlySet<string> => {
  const scanned = new Bun.Transpiler({ loader: "ts" }).scanImports(source).map(({ path }) => path)
  const typed = Array.from(source.matchAll(importText), ([, , path]) => path).filter((path) => path !== undefined)
  return new Set([...scanned, ...typed])
}

/** Those of the names that the source text uses as globals: its own variables and words in strings are not. */
const globalsOf = (source: string, names: ReadonlyArray<string>): ReadonlyArray<string> => {
  const mark = "$global$"
  const define = Object.fromEntries(
    names.flatMap((name) => [
      [name, mark + name],
      [`globalThis.${name}`, mark + name],
    ]),
  )
  const marked = new Bun.Transpiler({ loader: "ts", deadCodeElimination: false, define }).transformSync(source)
  return names.filter((name) => new RegExp(`\\$global\\$${name}\\b`).test(marked))
}

/** Tests, and scripts of a package: what it ships does without them. */
const isForDevelopment = (path: string) => /(^|\/)(test|scripts|fuzz)\/|\.test\.tsx?$/.test(path)
const holds = (path: string, folder: string) => folder === "." || path === folder || path.startsWith(`${folder}/`)
const ownerOf = (path: string, all: ReadonlyArray<Package>) =>
  all.reduce((best, each) => (holds(path, each.folder) && each.folder.length >= best.folder.length ? each : best))
const allows = (allowed: string, path: string) =>
  allowed.endsWith("/*") ? path.startsWith(allowed.slice(0, -1)) : path === allowed
const packageName = (path: string) =>
  path
    .split("/")
    .slice(0, path.startsWith("@") ? 2 : 1)
    .join("/")

/** What is wrong with the imports of one file: a sentence for each. */
export const violations = (path: string, source: string, all: ReadonlyArray<Package>): ReadonlyArray<string> => {
  const { folder, manifest } = ownerOf(path, all)
  const rule = rules.find((each) => each.folder === folder || each.folder === `${dirname(folder)}/*`)
  if (rule === undefined)
    return [`${path}: no import rule for ${folder}: add it to the table in scripts/import-rules.ts`]

  const shipped = { ...manifest.dependencies, ...manifest.peerDependencies, ...manifest.optionalDependencies }
  const declared = isForDevelopment(path) || folder === "." ? { ...shipped, ...manifest.devDependencies } : shipped
  const withoutGlobals = isForDevelopment(path) ? undefined : rule.withoutGlobals

  const wrong = (imported: string): string | undefined => {
    if (imported.startsWith(".")) {
      const target = ownerOf(normalize(join(dirname(path), imported)), all)
      return target.folder === folder ? undefined : `reaches into ${target.folder}: import ${target.manifest.name}`
    }
    if (/^(bun|cloudflare|node)(:|$)/.test(imported) || isBuiltin(imported)) return withoutGlobals && rule.instead
    const name = packageName(imported)
    if (name === manifest.name) return undefined
    if (subpathOnly.includes(imported)) return "its barrel is slow to load: import a subpath"
    if (all.some((each) => each.manifest.name === name)) {
      if (name === forTests ? !isForDevelopment(path) : !rule.workspace.some((allowed) => allows(allowed, imported)))
        return rule.instead
    } else if (rule.external && !rule.external.includes(name)) return rule.instead
    return name in declared ? undefined : `declare ${name} in ${join(folder, "package.json")}`
  }

  const found: Array<string> = []
  try {
    for (const imported of importsOf(source)) {
      const why = wrong(imported)
      if (why) found.push(`${path}: imports "${imported}": ${why}`)
    }
    for (const name of withoutGlobals ? globalsOf(source, withoutGlobals) : []) {
      found.push(`${path}: uses the global ${name}: ${rule.instead}`)
    }
  } catch (cause) {
    found.push(`${path}: cannot be read: ${cause}`)
  }
  return found
}

/** What is wrong with the imports of the whole repository. */
export const check = (repository: string): { readonly files: number; readonly found: ReadonlyArray<string> } => {
  const all = packages(repository)
  const files = [
    ...new Bun.Glob("{packages,apps,tools,examples,scripts,test}/**/*.{ts,tsx}").scanSync({ cwd: repository }),
  ]
    .filter((path) => !/(^|\/)(node_modules|dist)\//.test(path))
    .sort()
  return {
    files: files.length,
    found: files.flatMap((path) => violations(path, readFileSync(join(repository, path), "utf8"), all)),
  }
}
