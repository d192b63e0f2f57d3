/** The machine's peak rates, measured by c/ceilings.c, which the system's compiler builds. */
import { spawn } from "node:child_process"
import { mkdtemp, rm } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import { Effect, Schema } from "effect"
import { AbsentError } from "./measure.ts"

const source = fileURLToPath(new URL("../../c/ceilings.c", import.meta.url))

/** Rates of all threads together: FLOP/s of multiply-adds, additions per second, and bytes per second. */
export const Ceilings = Schema.Struct({
  vectorBits: Schema.Int,
  threads: Schema.Int,
  fma: Schema.Finite,
  add: Schema.Finite,
  l2: Schema.Finite,
  memory: Schema.Finite,
})

export type Ceilings = typeof Ceilings.Type

const run = (file: string, args: ReadonlyArray<string>): Promise<string> =>
  new Promise((resolve, reject) => {
    const child = spawn(file, args, { stdio: ["ignore", "pipe", "pipe"] })
    let out = ""
    let error = ""
    child.stdout.on("data", (data) => (out += data))
    child.stderr.on("data", (data) => (error += data))
    child.on("error", () => reject(new Error(`${file} cannot be run`)))
    child.on("close", (code) =>
      code === 0 ? resolve(out) : reject(new Error(error.split("\n")[0] || `${file} failed`)),
    )
  })

/** The processor's widest vectors, or the 128 bits of WebAssembly. */
export type Vectors = "widest" | "128 bits"

const flags = (vectors: Vectors): ReadonlyArray<string> => [
  ..."-std=gnu11 -O3 -pthread".split(" "),
  ...(process.arch === "x64" ? ["-march=native", "-mprefer-vector-width=512"] : []),
  ...(vectors === "widest" ? [] : ["-DWIDTH=16", ...(process.arch === "x64" ? ["-mno-avx"] : [])]),
]

/** Measures the rates; takes about two seconds. Fails with AbsentError if there is no C compiler. */
export const ceilings = (vectors: Vectors, threads: number): Effect.Effect<Ceilings, AbsentError> =>
  Effect.tryPromise({
    try: async () => {
      const folder = await mkdtemp(join(tmpdir(), "spikeroute-ceilings-"))
      try {
        const file = join(folder, "ceilings")
        await run(process.env.CC || "cc", [...flags(vectors), "-o", file, source])
        return Schema.decodeUnknownSync(Schema.fromJsonString(Ceilings))(await run(file, [String(threads)]))
      } finally {
        await rm(folder, { recursive: true, force: true })
      }
    },
    catch: (error) =>
      new AbsentError({
        subject: "the machine's ceilings",
        reason: error instanceof Error ? error.message : String(error),
      }),
  })
