/**
 * Builds the WebAssembly modules from the C sources with clang from the npm package @yowasp/clang, reproducibly on every machine.
 * `bun run build:wasm` writes them to built/; a test compares those files with a fresh build.
 */
import { readdirSync, readFileSync } from "node:fs"
import { commands, Exit, type Tree } from "@yowasp/clang"

const kernelsFolder = new URL("../c/", import.meta.resolve("@spikeroute/backend-kernels"))
const ownFolder = new URL("../c/", import.meta.url)
/** The folder of the built modules. */
export const builtFolder = new URL("../built/", import.meta.url)

const compileFlags = [
  // -O3 makes the modules 4 KB larger and not faster: loops to unroll are marked in the source.
  ..."--target=wasm32 -std=gnu11 -O2 -nostdlib -ffreestanding -fvisibility=hidden".split(" "),
  // Products are rounded before they are added, as in native code.
  ..."-ffp-contract=off -fno-math-errno -fno-trapping-math".split(" "),
  // Only the threaded module uses atomics, but the kernels are compiled once for both modules.
  ..."-msimd128 -mbulk-memory -matomics -DVECTOR_BYTES=16 -Ikernels -Iown".split(" "),
]

/** Sources that are not performance-critical: compiled for size. */
const small: ReadonlySet<string> = new Set([
  "kernels/session",
  "kernels/loss",
  "kernels/weight-standardization",
  "kernels/expression",
  "kernels/convolution",
  "kernels/convolution-forward",
  "kernels/convolution-input-gradient",
  "kernels/convolution-weight-gradient",
  "kernels/max-pool",
  "kernels/rearrange",
  "kernels/sliding-windows",
  "kernels/linear",
  "kernels/table",
  "kernels/dropout-mask",
  "kernels/bookkeeping",
  "kernels/bias",
])

const linkFlags = (...own: ReadonlyArray<string>): ReadonlyArray<string> => [
  ..."--no-entry --import-memory --strip-all -O2 -z stack-size=131072".split(" "),
  ...["session_bytes", "session_open", "session_run", "session_is_finite", "__heap_base"].map(
    (name) => `--export=${name}`,
  ),
  ...own,
]

/** The modules: their sources besides the kernels, and their linker flags. */
const modules: Readonly<
  Record<string, { readonly sources: ReadonlyArray<string>; readonly flags: ReadonlyArray<string> }>
> = {
  "spikeroute.wasm": { sources: ["own/single"], flags: linkFlags() },
  "spikeroute-threads.wasm": {
    sources: ["own/threads", "kernels/thread-pool"],
    flags: linkFlags(
      ..."--shared-memory --max-memory=4294967296".split(" "),
      ...["pool_work", "pool_close", "__stack_pointer"].map((name) => `--export=${name}`),
    ),
  },
}

const sourcesOf = (folder: URL): Readonly<Record<string, string>> =>
  Object.fromEntries(
    readdirSync(folder)
      .sort()
      .map((name) => [name, readFileSync(new URL(name, folder), "utf8")]),
  )

/** Runs an LLVM tool; its diagnostics become the error message. */
const run = async (tool: "clang" | "wasm-ld", args: ReadonlyArray<string>, files: Tree): Promise<Tree> => {
  let said = ""
  const listen = (bytes: Uint8Array | null) => {
    if (bytes) said += new TextDecoder().decode(bytes)
  }
  try {
    return (await commands[tool]([...args], files, { stdout: listen, stderr: listen, fetchProgress: () => {} })) ?? {}
  } catch (error) {
    if (error instanceof Exit) throw new Error(`${tool} ${args.at(-1)}: ${said}`)
    throw error
  }
}

/** Builds all modules; returns their bytes by name. */
export const build = async (): Promise<ReadonlyMap<string, Uint8Array>> => {
  const sources = { kernels: { ...sourcesOf(kernelsFolder) }, own: { ...sourcesOf(ownFolder) } }
  const units = Object.entries(sources).flatMap(([folder, files]) =>
    Object.keys(files).flatMap((name) => (name.endsWith(".c") ? [`${folder}/${name.slice(0, -2)}`] : [])),
  )
  const objects: Record<string, Uint8Array> = {}
  for (const unit of units) {
    const flags = [...compileFlags, ...(small.has(unit) ? ["-Oz"] : [])]
    const made = await run("clang", [...flags, "-c", "-o", "unit.o", `${unit}.c`], sources)
    objects[`${unit.replace("/", "-")}.o`] = made["unit.o"] as Uint8Array
  }
  const special = new Set(Object.values(modules).flatMap(({ sources }) => sources))
  const common = units.filter((unit) => !special.has(unit))
  const built = new Map<string, Uint8Array>()
  for (const [name, { sources: own, flags }] of Object.entries(modules)) {
    const inputs = [...common, ...own].map((unit) => `${unit.replace("/", "-")}.o`)
    const made = await run("wasm-ld", [...flags, "-o", name, ...inputs], { ...objects })
    built.set(name, made[name] as Uint8Array)
  }
  return built
}
