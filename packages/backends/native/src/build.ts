/**
 * Builds the native library with the system's C compiler: `CC`, or else `cc`.
 *
 * It is kept in the user's cache under a name that follows from the sources, the flags and the compiler, so it is built again when,
 * and only when, one of them changes. Where there is no compiler, what any compiler has made of the same sources before is used.
 * Nothing is taken from a cache that somebody else can write; see trust.ts.
 */
import { spawn } from "node:child_process"
import { createHash, type Hash } from "node:crypto"
import { chmod, mkdir, mkdtemp, readdir, readFile, rename, rm } from "node:fs/promises"
import { availableParallelism, homedir } from "node:os"
import { basename, join } from "node:path"
import { fileURLToPath } from "node:url"
import { Options } from "@spikeroute/core"
import { checkFile, checkFolder } from "./trust.ts"

const kernelsFolder = fileURLToPath(new URL("../c/", import.meta.resolve("@spikeroute/backend-kernels")))
const ownFolder = fileURLToPath(new URL("../c/", import.meta.url))

const flags = [
  ..."-std=gnu11 -O3 -fPIC -fvisibility=hidden -ffreestanding".split(" "),
  // Products are rounded before they are added unless a kernel says otherwise, so that results have the same bits everywhere.
  ..."-ffp-contract=off -fno-math-errno -fno-trapping-math".split(" "),
  `-I${kernelsFolder}`,
]

/** The kernels are compiled once for each width of vectors that the processors of a kind may have. */
const variants: Readonly<Record<string, ReadonlyArray<ReadonlyArray<string>>>> = {
  x64: [
    "-DVARIANT=sse -DVECTOR_BYTES=16 -msse4.2 -mpopcnt",
    "-DVARIANT=avx2 -DVECTOR_BYTES=32 -mavx2 -mfma -mbmi -mbmi2 -mlzcnt -mpopcnt",
    "-DVARIANT=avx512 -DVECTOR_BYTES=64 -mavx2 -mfma -mbmi -mbmi2 -mlzcnt -mpopcnt -mavx512f -mavx512dq -mavx512bw -mavx512vl -mprefer-vector-width=512",
  ].map((line) => line.split(" ")),
  arm64: [["-DVARIANT=only", "-DVECTOR_BYTES=16"]],
}

/** What is compiled: a source, its flags. */
interface Unit {
  readonly source: string
  readonly flags: ReadonlyArray<string>
}

const sourcesIn = async (folder: string): Promise<ReadonlyArray<string>> =>
  (await readdir(folder)).sort().map((name) => join(folder, name))

/** Runs a command to its end: what it printed, or an error with that. */
const command = (file: string, args: ReadonlyArray<string>): Promise<string> =>
  new Promise((resolve, reject) => {
    const child = spawn(file, args, { stdio: ["ignore", "pipe", "pipe"] })
    let output = ""
    child.stdout.on("data", (data) => (output += data))
    child.stderr.on("data", (data) => (output += data))
    child.on("error", () =>
      reject(new Error(`there is no C compiler: ${file} cannot be run; install gcc or clang, or set CC`)),
    )
    child.on("close", (code) =>
      code === 0 ? resolve(output) : reject(new Error(`${file} ${args.at(-1)} failed:\n${output.slice(0, 4000)}`)),
    )
  })

const cacheFolder = (): string => join(process.env.XDG_CACHE_HOME || join(homedir(), ".cache"), "spikeroute", "native")

const digest = (hash: Hash): string => hash.digest("hex").slice(0, 16)

/** The library's path, after building it if it is not there. `onBuild` is told before a build begins. */
export const build = async (onBuild: () => void = () => {}): Promise<string> => {
  Options.argument(onBuild, Options.aFunction, "build", "onBuild")
  const machine = variants[process.arch]
  if (machine === undefined || process.platform === "win32")
    throw new Error(`there are no native kernels for ${process.platform} on ${process.arch}`)
  const sources = [...(await sourcesIn(kernelsFolder)), ...(await sourcesIn(ownFolder))]
  const hash = createHash("sha256").update(
    JSON.stringify([machine, flags.slice(0, -1), process.platform, process.arch]),
  )
  for (const source of sources) hash.update(basename(source)).update(await readFile(source))
  const folder = cacheFolder()
  const prefix = `spikeroute-${digest(hash)}-`
  await mkdir(folder, { recursive: true, mode: 0o700 })
  await checkFolder(folder)
  const built = (await readdir(folder)).filter((file) => file.startsWith(prefix))

  const compiler = process.env.CC || "cc"
  const version = await command(compiler, ["--version"]).catch((error: unknown) => {
    if (built[0] === undefined) throw error
    return undefined
  })
  const wanted = version === undefined ? built[0] : `${prefix}${digest(createHash("sha256").update(version))}.so`
  const library = join(folder, wanted as string)
  if (built.includes(basename(library))) {
    await checkFile(library)
    return library
  }

  onBuild()
  const kernels = sources.filter((source) => source.startsWith(kernelsFolder) && source.endsWith(".c"))
  const once = sources.filter((source) => source.startsWith(ownFolder) && source.endsWith(".c"))
  const shared = kernels.filter((source) => ["session.c", "pool.c"].includes(basename(source)))
  const units: ReadonlyArray<Unit> = [
    ...machine.flatMap((flags) =>
      kernels.filter((source) => !shared.includes(source)).map((source) => ({ source, flags })),
    ),
    ...[...shared, ...once].map((source) => ({ source, flags: [] })),
  ]
  const workplace = await mkdtemp(join(folder, "build-"))
  try {
    const objects = await compile(compiler, units, workplace)
    const linked = join(workplace, "library.so")
    await command(compiler, ["-shared", "-pthread", "-o", linked, ...objects, "-ldl"])
    await chmod(linked, 0o700)
    // In one step, so that nobody sees half a library.
    await rename(linked, library)
  } finally {
    await rm(workplace, { recursive: true, force: true })
  }
  return library
}

/** Compiles all units, as many at a time as there are processors, and gives the object files. */
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
      await command(compiler, [...flags, ...own, "-c", "-o", objects[i] as string, source])
    }
  }
  await Promise.all(Array.from({ length: availableParallelism() }, compileSome))
  return objects
}
