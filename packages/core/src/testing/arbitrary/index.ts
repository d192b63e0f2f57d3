/**
 * Arbitrary networks, batches and policies, for property tests with fast-check.
 *
 * Everything is generated as plain data, so that counterexamples are readable and shrink well. The data are built into objects by
 * `graphOf`, `policyOf`, `parametersOf`, `batchOf` and `keysOf`. Any data builds: a piece adapts to the value that it is applied
 * to (a window shrinks until it fits, a convolution of a feature vector becomes a linear layer), so nothing is ever discarded on
 * the way. Networks are tiny: a run takes milliseconds.
 *
 * A spike is a discontinuity: if a membrane is within rounding of its threshold, two correct implementations may differ by a whole
 * spike. Tests that compare implementations skip workloads whose {@link margin} is too small:
 *
 * @example
 * const property = fc.asyncProperty(Arbitrary.workload(), async (workload) => {
 *   const margin = Arbitrary.margin(workload).pipe(Effect.scoped, Effect.provide(layer))
 *   fc.pre((await Effect.runPromise(margin)) > 1e-3)
 *   const graph = Arbitrary.graphOf(workload)
 *   // … what has to hold of it
 *   return graph.nodes.length > 0
 * })
 * yield* Effect.promise(() => fc.assert(property, { numRuns: 3 }))
 */

export type { Cell } from "./cell.ts"
export { margin } from "./margin.ts"
export { graphOf } from "./network.ts"
export { batchOf, keyOf, optionsOf, parametersOf } from "./numbers.ts"
export { type Choice, policy, policyOf } from "./policy.ts"
export { surrogate } from "./surrogate.ts"
export {
  type Neuron,
  neuron,
  type Piece,
  type ReadOut,
  type Temporal,
  type TwoStates,
  type Workload,
  workload,
} from "./workload.ts"
