/**
 * Builds the native library with the system's C compiler: `CC`, or `cc`.
 *
 * The library is cached in the user's cache folder under a hash of the sources, flags and compiler version, so it is rebuilt if and only if
 * one of them changes. Without a compiler, a library built earlier from the same sources is used. Caches that other users can write are
 * not trusted: see trust.ts.
 */
import { readdir, readFile } from "node:fs/promises"
import { availableParallelism } from "node:os"
import { basename, join } from "node:path"
import { fileURLToPath } from "node:url"
import { Options } from "@spikeroute/core"
import { command, digest, openCache } from "./cache.ts"

const kernelsFolder = fileURLToPath(new URL("../c/", import.meta.resolve("@spikeroute/backend-kernels")))
const ownFolder = fileURLToPath(new URL("../c/", import.meta.url))

const flags = [
  ..."-std=gnu11 -O3 -fPIC -fvisibility=hidden -ffreestanding".split(" "),
  // Products are rounded before they are added unless a kernel says otherwise, so that results are bit-identical everywhere.
  ..."-ffp-contract=off -fno-math-errno -fno-trapping-math".split(" "),
  `-I${kernelsFolder}`,
]

/** Flags of the variants that are compiled, one per vector width, by architecture. */
const variants: Readonly<Record<string, ReadonlyArray<ReadonlyArray<string>>>> = {
  x64: [
    "-DVARIANT=sse -DVECTOR_BYTES=16 -msse4.2 -mpopcnt",
    "-DVARIANT=avx2 -DVECTOR_BYTES=32 -mavx2 -mfma -mbmi -mbmi2 -mlzcnt -mpopcnt",
    "-DVARIANT=avx512 -DVECTOR_BYTES=64 -mavx2 -mfma -mbmi -mbmi2 -mlzcnt -mpopcnt -mavx512f -mavx512dq -mavx512bw -mavx512vl -mprefer-vector-width=512",
  ].map((line) => line.split(" ")),
  arm64: [["-DVARIANT=only", "-DVECTOR_BYTES=16"]],
}

/** A source file and its flags. */
interface Unit {
  readonly source: string
  readonly flags: ReadonlyArray<string>
}

const sourcesIn = async (folder: string): Promise<ReadonlyArray<string>> =>
  (await readdir(folder)).sort().map((name) => join(folder, name))

const missing = (compiler: string) =>
  `there is no C compiler: ${compiler} cannot be run; install gcc or clang, or set CC`

/** Returns the library's path, and builds the library first if necessary. `onBuild` is called before a build. */
export const build = async (onBuild: () => void = () => {}): Promise<string> => {
  Options.argument(onBuild, Options.aFunction, "build", "onBuild")
  const machine = variants[process.arch]
  if (machine === undefined || process.platform === "win32")
    throw new Error(`there are no native kernels for ${process.platform} on ${process.arch}`)
  const sources = [...(await sourcesIn(kernelsFolder)), ...(await sourcesIn(ownFolder))]
  const contents = await Promise.all(sources.map(async (source) => [basename(source), await readFile(source)]))
  const made = JSON.stringify([machine, flags.slice(0, -1), process.platform, process.arch])
  const prefix = `spikeroute-${digest(made, ...contents.flat())}-`
  const { built, library } = await openCache("native")
  const usable = built.find((file) => file.startsWith(prefix))

  const compiler = process.env.CC || "cc"
  const version = await command(compiler, ["--version"], missing).catch((error: unknown) => {
    if (usable === undefined) throw error
    return undefined
  })
  const wanted = version === undefined ? (usable as string) : `${prefix}${digest(version)}.so`
  return library(wanted, async (workplace) => {
    onBuild()
    const objects = await compile(compiler, unitsOf(machine, sources), workplace)
    const linked = join(workplace, "library.so")
    await command(compiler, ["-shared", "-pthread", "-o", linked, ...objects, "-ldl"], missing)
    return linked
  })
}

/** All compilations: most kernels once per vector width, the rest once. */
const unitsOf = (
  machine: ReadonlyArray<ReadonlyArray<string>>,
  sources: ReadonlyArray<string>,
): ReadonlyArray<Unit> => {
  const kernels = sources.filter((source) => source.startsWith(kernelsFolder) && source.endsWith(".c"))
  const once = sources.filter((source) => source.startsWith(ownFolder) && source.endsWith(".c"))
  const shared = kernels.filter((source) => ["session.c", "thread-pool.c"].includes(basename(source)))
  return [
    ...machine.flatMap((flags) =>
      kernels.filter((source) => !shared.includes(source)).map((source) => ({ source, flags })),
    ),
    ...[...shared, ...once].map((source) => ({ source, flags: [] })),
  ]
}

/** Compiles all units in parallel and returns the object files. */
const compile = async (
  compiler: string,
  units: ReadonlyArray<Unit>,
  workplace: string,
): Promise<ReadonlyArray<string>> => {
  const objects = units.map((_, i) => join(workplace, `${i}.o`))
  const left = units.keys()
  const compileSome = async () => {
    for (const i of left) {
      const { source, flags: own } = units[i] as Unit
      await command(compiler, [...flags, ...own, "-c", "-o", objects[i] as string, source], missing)
    }
  }
  await Promise.all(Array.from({ length: availableParallelism() }, compileSome))
  return objects
}
