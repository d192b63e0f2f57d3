/**
 * The CPU kernels: C code that exploits the sparsity of spikes, used by the backends `wasm` and `native`.
 *
 * This package contains what both share: the encoding of programs for the kernels, program files, and core's backend on an
 * {@link Engine} with the kernels loaded.
 */
import { Backend, kernels, UnsupportedKernelError } from "@spikeroute/core"
import { Effect } from "effect"
import type { Engine } from "./engine.ts"
import { prepare } from "./executable.ts"

export { encode } from "./encode.ts"
export type { Engine, Session } from "./engine.ts"
export { arenaBytes, maximumArenaBytes, maximumThreads } from "./packed.ts"
export * as ProgramFile from "./program-file.ts"
export { describeRefusal } from "./refusals.ts"

/** The backend on an engine. */
export const fromEngine = (engine: Engine): Backend["Service"] =>
  Backend.of({
    name: engine.name,
    description: engine.description,
    prepare: (program) => {
      const used = Object.values(program.segments).flatMap((segment) => segment.map(({ kernel }) => kernel))
      const missing = new Set(used.filter((kernel) => !kernels.has(kernel)))
      return missing.size > 0
        ? Effect.fail(new UnsupportedKernelError({ backend: engine.name, kernels: [...missing] }))
        : prepare(engine, program)
    },
  })
