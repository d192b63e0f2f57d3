/** Networks and data sets of a person's own, named by the paths of their files. */
import { pathToFileURL } from "node:url"
import * as core from "@spikeroute/core"
import { Options } from "@spikeroute/core"
import * as datasets from "@spikeroute/datasets"
import * as effect from "effect"
import { Effect, Path, Schema } from "effect"
import { UsageError } from "./errors.ts"
import { sizeOf } from "./files.ts"

const ofModules = /\.[cm]?[jt]s$/

/** Whether a setting is the path of a file rather than a name. */
export const isPath = (setting: string): boolean => /[\\/]|\.([cm]?[jt]s|json|nir)$/.test(setting)

/** What a setting is called where there is little room: the file without its folder. */
export const nameOf = (setting: string): string => (isPath(setting) ? setting.replace(/^.*[\\/]/, "") : setting)

/** One of some names, or the path of a file with one of some endings. */
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
    // For hints at slips.
    { literals: names },
  )

let isProvided = false

/**
 * Bun finds the packages that a module imports here, wherever the module lies: what it makes has to be of the library that runs it, not of
 * another copy.
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

/** What somebody's code says of itself when it fails. */
export const messageOf = (error: unknown): string => (error instanceof Error ? error.message : String(error))

/** The default export of a module; `wanted` says what it should be. */
export const defaultExport = (file: string, wanted: string) =>
  Effect.gen(function* () {
    yield* sizeOf(file)
    if (!ofModules.test(file))
      return yield* new UsageError({ reason: `${file} is no module: it must be a .ts or .js file` })
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
