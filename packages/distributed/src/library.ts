/** Compiles c/mpi.c with the user's `mpicc` on first use, and loads it. */
import { readFile } from "node:fs/promises"
import { join } from "node:path"
import process from "node:process"
import { fileURLToPath } from "node:url"
import { command, digest, openCache } from "@spikeroute/backend-native/cache"
import { type Foreign, loadForeign } from "@spikeroute/backend-native/foreign"
import { Effect } from "effect"
import { CommunicatorError } from "./communicator.ts"

const source = fileURLToPath(new URL("../c/mpi.c", import.meta.url))

const flags = "-std=gnu11 -O3 -fPIC -fvisibility=hidden -ffp-contract=off".split(" ")

const signatures = {
  start: ["i32"],
  rank: ["i32"],
  size: ["i32"],
  neighbours: ["i32"],
  finish: ["i32"],
  abort: ["void", "i32"],
  version: ["i32", "array", "i32"],
  failure: ["i32", "array", "i32"],
  open: ["i32", "f64", "i32"],
  rows: ["pointer", "i32"],
  close: ["void", "i32"],
  sum: ["i32", "i32"],
  gather: ["i32", "array", "f64"],
  gathered: ["pointer"],
  gathered_from: ["i32", "i32"],
  progress: ["i32", "f64"],
} as const

export type Library = Foreign<keyof typeof signatures>

const missing = (compiler: string): string =>
  `there is no MPI compiler: ${compiler} cannot be run; install Open MPI or MPICH with its headers, or set MPICC`

/**
 * The library for the MPI implementation of `MPICC`, by default `mpicc`. Its name in the cache is derived from the source, before and after
 * preprocessing (with MPI's headers), and from the compiler and linker options.
 */
export const library: Effect.Effect<Library, CommunicatorError> = /* @__PURE__ */ Effect.tryPromise({
  try: async () => {
    const compiler = process.env.MPICC || "mpicc"
    const [seen, options, own, { library }] = await Promise.all([
      command(compiler, [...flags, "-E", source], missing),
      command(compiler, ["-show"], missing),
      readFile(source),
      openCache("mpi"),
    ])
    const path = await library(`mpi-${digest(own, seen, options, flags.join(" "))}.so`, async (workplace) => {
      const linked = join(workplace, "library.so")
      await command(compiler, [...flags, "-shared", "-o", linked, source], missing)
      return linked
    })
    return loadForeign(path, "spikeroute_mpi_", signatures)
  },
  catch: (error) =>
    new CommunicatorError({ kind: "compiler", reason: error instanceof Error ? error.message : String(error) }),
})
