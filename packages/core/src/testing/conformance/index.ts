/**
 * The conformance suite for backends. Run it with any test runner:
 *
 * @example
 * for (const { name, run } of Conformance.cases())
 *   test(name, () => Effect.runPromise(run.pipe(Effect.provide(layer))))
 */
import type { Effect } from "effect"
import type { Backend } from "../../backend/backend.ts"
import { checkpointCases } from "./checkpoints.ts"
import { kernelCases } from "./kernel.ts"
import { type Failure, type Lifecycle, lifecycleCases } from "./lifecycle.ts"
import { lossCases } from "./losses.ts"
import { outputCases } from "./outputs.ts"
import { programCases } from "./programs.ts"
import { randomCases } from "./random.ts"

export { ConformanceError } from "./compare.ts"
export { layer as oracle } from "./oracle.ts"
export type { Failure, Lifecycle }

/** One test. */
export interface Case {
  readonly name: string
  readonly run: Effect.Effect<void, Failure, Backend>
}

/** Options of {@link cases}. */
export interface Options extends Lifecycle {
  /** Runs every n-th example of each kernel only, for devices that are emulated: compiling a shader takes them a second. Default 1. */
  readonly exampleStride?: number
}

/**
 * The suite: every kernel against its reference implementation, whole programs against the reference semantics of their
 * instructions, and the allocation and release of memory.
 */
export const cases = ({ exampleStride = 1, ...lifecycle }: Options = {}): ReadonlyArray<Case> => [
  ...kernelCases(exampleStride),
  ...programCases,
  ...checkpointCases,
  ...lossCases,
  ...outputCases,
  ...randomCases,
  ...lifecycleCases(lifecycle),
]
