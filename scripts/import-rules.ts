// The import rules between packages, as data, and a check of all sources. `bun run check` prints violations, and test/imports.test.ts
// fails on them. Only imports are checked, not what they are used for.
import { readFileSync } from "node:fs"
import { isBuiltin } from "node:module"
import { dirname, join, normalize } from "node:path"

export interface ImportRule {
  /** The package's folder, or `folder/*` for all packages in a folder. */
  readonly folder: string
  /** Workspace modules that may be imported; `…/*` stands for every subpath. */
  readonly workspace: ReadonlyArray<string>
  /** External packages that may be imported. Default: all declared ones. */
  readonly external?: ReadonlyArray<string>
  /** Globals that sources (not tests or scripts) must not use because they run on every platform; `node:` and `bun` modules are forbidden too. */
  readonly withoutGlobals?: ReadonlyArray<string>
  /** What to do instead, for the error message. */
  readonly instead: string
}

/** Globals that not every runtime has. */
const ofRuntimes = ["Buffer", "Bun", "Deno", "document", "navigator", "process", "require", "window"]

export const rules: ReadonlyArray<ImportRule> = [
  {
    folder: "packages/core",
    workspace: [],
    external: ["effect", "fast-check"],
    withoutGlobals: ofRuntimes,
    instead: "core runs everywhere and depends on no backend: pass what it needs as an argument or an Effect service",
  },
  ...["packages/backends/kernels", "packages/backends/reference"].map((folder) => ({
    folder,
    workspace: ["@spikeroute/core", "@spikeroute/core/*"],
    withoutGlobals: ofRuntimes,
    instead: "it runs everywhere and depends on core only: pass what it needs as an argument",
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
      "a backend depends only on core, the CPU kernels and the search for a GPU: move shared code into core, and compose in an app",
  },
  {
    folder: "packages/datasets",
    workspace: [
      "@spikeroute/core/number-readers",
      "@spikeroute/core/numpy",
      "@spikeroute/core/options",
      "@spikeroute/core/random",
      "@spikeroute/core/text",
    ],
    instead:
      "datasets use only core's random keys, readers of numbers, option checks and text helpers: compose the rest in an app",
  },
  {
    folder: "packages/nir",
    workspace: ["@spikeroute/core", "@spikeroute/core/text", "@spikeroute/backend-reference"],
    withoutGlobals: ofRuntimes,
    instead: "it depends on core only, and its tests on the reference backend: compose the rest in an app",
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
      "it depends on core, and on the native backend's library loader: backends are services that applications provide",
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
    instead: "it runs core's effects as promises on a backend that it finds: everything else belongs in core",
  },
  { folder: "apps/*", workspace: ["@spikeroute/*"], instead: "add it to the table in scripts/import-rules.ts" },
  {
    folder: "test/support",
    workspace: ["@spikeroute/backend-webgpu", "@spikeroute/core", "@spikeroute/core/testing", "@spikeroute/web-tools"],
    instead: "it only finds a browser and a GPU, and runs the conformance suite in a page",
  },
  {
    folder: "test/portable",
    workspace: ["@spikeroute/*"],
    instead: "it uses the packages and tools as a user would",
  },
  { folder: "tools/*", workspace: [], instead: "a tool depends on no package: pass its inputs as arguments" },
  {
    folder: "examples",
    workspace: ["@spikeroute/*", "spikeroute"],
    instead: "examples import the packages, as a user would",
  },
  { folder: "examples/*", workspace: ["@spikeroute/*"], instead: "examples import the packages, as a user would" },
  { folder: ".", workspace: [], instead: "scripts and tests of the root read files and import no package" },
]

/** The package that the tests of every package may import. */
const forTests = "@spikeroute/test-support"

/** Packages whose index module is slow to load: imported by subpath only. */
const subpathOnly: ReadonlyArray<string> = ["@effect/platform-node"]

/** The parts of a package.json that the rules use. */
export interface Manifest {
  readonly name: string
  readonly dependencies?: Readonly<Record<string, string>>
  readonly peerDependencies?: Readonly<Record<string, string>>
  readonly optionalDependencies?: Readonly<Record<string, string>>
  readonly devDependencies?: Readonly<Record<string, string>>
}

export interface Package {
  /** Relative to the repository; "." is the root. */
  readonly folder: string
  readonly manifest: Manifest
}

const readJson = (path: string) => JSON.parse(readFileSync(path, "utf8"))

/** The root package and all workspace packages of a repository. */
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

// Skips comments, templates, regular expressions and strings; captures the rest of `from "…"` and `import("…")`. Bun's scanner alone is not
// enough, because it drops type-only imports.
const importText =
  /\/\/.*|\/\*[\s\S]*?\*\/|`(?:\\[\s\S]|[^\\`])*`|(?<=[=(,:;!&|?{}[\n]\s*)\/(?![*/])(?:\\.|\[(?:\\.|[^\]\\\n])*\]|[^/\\[\n])+\/|\b(?:from|import\s*\(?)\s*(["'])([^"'\n]+)\1|"(?:\\.|[^"\\\n])*"|'(?:\\.|[^'\\\n])*'/g

/** All modules that a source imports, including type imports. */
export const importsOf = (source: string): ReadonlySet<string> => {
  const scanned = new Bun.Transpiler({ loader: "ts" }).scanImports(source).map(({ path }) => path)
  const typed = Array.from(source.matchAll(importText), ([, , path]) => path).filter((path) => path !== undefined)
  return new Set([...scanned, ...typed])
}

/** Those of the names that a source uses as globals, not as its own variables or in strings. */
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

/** Tests and scripts, which are not shipped. */
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

/** The import violations of a file, one sentence each. */
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

/** The import violations of the whole repository. */
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
