import * as fc from "fast-check"
import * as Policy from "../../policies/policy.ts"
import * as Steps from "../../policies/steps.ts"

/** A policy as data; numbers of steps count modulo the workload's time steps. */
export interface Choice {
  readonly detached: ReadonlyArray<Policy.Edge>
  /** 0 for no truncation. */
  readonly window: number
  readonly steps: { readonly name: "all" | "last" | "every" | "sample"; readonly k: number }
}

/** A policy: any edges detached, any window, any trained steps. */
export const policy = (): fc.Arbitrary<Choice> =>
  fc.record({
    detached: fc.subarray(["membrane", "reset"] as ReadonlyArray<Policy.Edge> as Array<Policy.Edge>),
    window: fc.nat({ max: 4 }),
    steps: fc.record({ name: fc.constantFrom("all", "last", "every", "sample"), k: fc.nat({ max: 4 }) }),
  })

/** The policy of a choice, for so many time steps. */
export const policyOf = ({ detached, window, steps }: Choice, timeSteps: number): Policy.Policy => {
  const k = 1 + (steps.k % timeSteps)
  const trained = { all: Steps.all, last: Steps.last(k), every: Steps.every(k), sample: Steps.sample(k) }[steps.name]
  const routed = Policy.bptt.pipe(Policy.detach(...detached), Policy.trainOn(trained))
  return window === 0 ? routed : routed.pipe(Policy.truncate(window))
}
