/** Loads custom networks and data sets from the paths of their modules. */
import { pathToFileURL } from "node:url"
import * as core from "@spikeroute/core"
import { Options } from "@spikeroute/core"
import * as datasets from "@spikeroute/datasets"
import * as effect from "effect"
import { Effect, Path, Schema } from "effect"
import { UsageError } from "./errors.ts"
import { sizeOf } from "./files.ts"

const ofModules = /\.[cm]?[jt]s$/

/** Whether a setting is a file path rather than a name. */
export const isPath = (setting: string): boolean => /[\\/]|\.([cm]?[jt]s|json|nir)$/.test(setting)

/** The short name of a setting: for a path, the file name. */
export const nameOf = (setting: string): string => (isPath(setting) ? setting.replace(/^.*[\\/]/, "") : setting)

/** Schema of one of the names, or a path with one of the file extensions. */
export const nameOrPath = (
  names: ReadonlyArray<string>,
  endings: ReadonlyArray<string>,
): Schema.Codec<string> & { readonly literals: ReadonlyArray<string> } =>
  Object.assign(
    Schema.String.check(
      Options.must(
        `one of ${names.join(", ")}, or the path of a ${endings.join(", ")} file`,
        (setting: string) => names.includes(setting) || endings.some((ending) => setting.endsWith(ending)),
      ),
    ),
    // For hints at misspelt names.
    { literals: names },
  )

let isProvided = false

/**
 * Makes Bun resolve this library's packages to the running copy for every user module, wherever it is stored: the objects that a module
 * creates must come from this copy.
 */
const providePackages = async () => {
  if (isProvided || !("Bun" in globalThis)) return
  isProvided = true
  const { plugin } = await import("bun")
  const packages = { "@spikeroute/core": core, spikeroute: core, "@spikeroute/datasets": datasets, effect }
  await plugin({
    name: "spikeroute",
    setup: (build) => {
      for (const [name, exports] of Object.entries(packages))
        build.module(name, () => ({ exports: { ...exports }, loader: "object" }))
    },
  })
}

/** The message of an error thrown by user code. */
export const messageOf = (error: unknown): string => (error instanceof Error ? error.message : String(error))

/** Loads a module's default export; `wanted` describes it in error messages. */
export const defaultExport = (file: string, wanted: string) =>
  Effect.gen(function* () {
    yield* sizeOf(file)
    if (!ofModules.test(file))
      return yield* new UsageError({ reason: `${file} is not a module: it must be a .ts or .js file` })
    const path = (yield* Path.Path).resolve(file)
    const module = yield* Effect.tryPromise({
      try: async () => {
        await providePackages()
        return (await import(pathToFileURL(path).href)) as { readonly default?: unknown }
      },
      catch: (error) => new UsageError({ reason: `${file} cannot be loaded: ${messageOf(error)}` }),
    })
    if (module.default === undefined)
      return yield* new UsageError({ reason: `${file} has no default export: export default ${wanted}` })
    return module.default
  })
