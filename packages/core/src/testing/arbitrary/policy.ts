import * as fc from "fast-check"
import * as Policy from "../../policies/policy.ts"
import * as Steps from "../../policies/steps.ts"

/** A policy as data; numbers of steps count modulo the workload's time steps. */
export interface Choice {
  readonly detached: ReadonlyArray<Policy.Edge>
  /** 0 for no truncation. */
  readonly window: number
  /** Decay of the traces, which the policy has if no gradient crosses time; 0 for none. */
  readonly trace: number
  /** Steps between checkpoints; 0 for none, 5 for the root of the window. */
  readonly checkpoint: number
  readonly recompute: boolean
  readonly steps: { readonly name: "all" | "last" | "every" | "sample"; readonly k: number }
}

/** A policy: any edges detached, any window, any trained steps, with traces, checkpoints and recomputation or without. */
export const policy = (): fc.Arbitrary<Choice> =>
  fc.record({
    detached: fc.subarray(["membrane", "reset"] as ReadonlyArray<Policy.Edge> as Array<Policy.Edge>),
    window: fc.nat({ max: 4 }),
    trace: fc.constantFrom(0, 0.5, 1),
    checkpoint: fc.nat({ max: 5 }),
    recompute: fc.boolean(),
    steps: fc.record({ name: fc.constantFrom("all", "last", "every", "sample"), k: fc.nat({ max: 4 }) }),
  })

/** The policy of a choice, for so many time steps. */
export const policyOf = (choice: Choice, timeSteps: number): Policy.Policy => {
  const { detached, window, trace, checkpoint, recompute, steps } = choice
  const k = 1 + (steps.k % timeSteps)
  const trained = { all: Steps.all, last: Steps.last(k), every: Steps.every(k), sample: Steps.sample(k) }[steps.name]
  const routed = Policy.bptt.pipe(Policy.detach(...detached), Policy.trainOn(trained))
  const windowed = window === 0 ? routed : routed.pipe(Policy.truncate(window))
  const cut = detached.includes("membrane") || window === 1
  const traced = cut && trace > 0 ? windowed.pipe(Policy.trace(trace)) : windowed
  const kept = checkpoint === 0 ? traced : traced.pipe(Policy.checkpoint(checkpoint === 5 ? "root" : checkpoint))
  return recompute ? kept.pipe(Policy.recompute) : kept
}
