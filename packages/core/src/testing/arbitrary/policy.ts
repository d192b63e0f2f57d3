import * as fc from "fast-check"
import { edgesOf } from "../../graph/nodes.ts"
import * as Policy from "../../policies/policy.ts"
import * as Steps from "../../policies/steps.ts"
import { graphOf } from "./network.ts"
import type { Workload } from "./workload.ts"

/** A policy as data. Numbers of steps are modulo the workload's time steps. */
export interface Choice {
  /** Detached edges. Edges that the graph does not have are ignored. */
  readonly detached: ReadonlyArray<Policy.Edge>
  /** 0 for no truncation. */
  readonly window: number
  /** Decay of the traces, which are used only if no gradient crosses time steps; 0 for none. */
  readonly trace: number
  /** Number of steps between checkpoints; 0 for none, 5 for the root of the window. */
  readonly checkpoint: number
  readonly recompute: boolean
  readonly steps: { readonly name: "all" | "last" | "every" | "sample"; readonly k: number }
}

/** Names of all temporal edges that arbitrary graphs have. */
const edges = ["membrane", "reset", "current", "adaptation", "spike", "inner", "delay", "recurrent", "own"]

/** Policies with any detached edges, window, and trained steps, with or without traces, checkpoints and recomputation. */
export const policy = (): fc.Arbitrary<Choice> =>
  fc.record({
    detached: fc.subarray([...edges]),
    window: fc.nat({ max: 4 }),
    trace: fc.constantFrom(0, 0.5, 1),
    checkpoint: fc.nat({ max: 5 }),
    recompute: fc.boolean(),
    steps: fc.record({ name: fc.constantFrom("all", "last", "every", "sample"), k: fc.nat({ max: 4 }) }),
  })

/** The policy of a choice, for a workload. */
export const policyOf = (choice: Choice, workload: Workload): Policy.Policy => {
  const { window, trace, checkpoint, recompute, steps } = choice
  const { all, lagged } = edgesOf(graphOf(workload))
  const detached = choice.detached.filter((edge) => all.has(edge) || edge === "membrane" || edge === "reset")
  const k = 1 + (steps.k % workload.timeSteps)
  const trained = { all: Steps.all, last: Steps.last(k), every: Steps.every(k), sample: Steps.sample(k) }[steps.name]
  const routed = Policy.bptt.pipe(Policy.detach(...detached), Policy.trainOn(trained))
  const windowed = window === 0 ? routed : routed.pipe(Policy.truncate(window))
  const isCut = new Set(detached).isSupersetOf(new Set(["membrane", ...lagged])) || window === 1
  const traced = isCut && trace > 0 ? windowed.pipe(Policy.trace(trace)) : windowed
  const kept = checkpoint === 0 ? traced : traced.pipe(Policy.checkpoint(checkpoint === 5 ? "root" : checkpoint))
  return recompute ? kept.pipe(Policy.recompute) : kept
}
