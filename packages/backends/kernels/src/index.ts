/**
 * The CPU kernels: one C source that profits from spikes, run by the backends wasm and native.
 *
 * Here is what both share: the packing of programs into the words that the kernels understand, and core's backend over an
 * {@link Engine} that has the kernels loaded.
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

/** Core's backend on an engine. */
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
