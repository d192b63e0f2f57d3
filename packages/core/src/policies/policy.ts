/**
 * Gradient-routing policies.
 *
 * A policy answers two questions: which temporal edges of the unrolled network carry gradient, and which time steps are trained.
 * It is a value made of smaller values, and composes by piping:
 *
 * @example
 * const sltt = Policy.bptt.pipe(Policy.detach("membrane", "reset"))
 * const mine = sltt.pipe(Policy.trainOn(Steps.last(4)))
 */
import { Effect, Pipeable } from "effect"
import { PolicyError } from "../errors.ts"
import * as Steps from "./steps.ts"

/**
 * Temporal edges of a neuron: `membrane` leads from the potential after one step's reset to the next step's potential, `reset`
 * from a spike to the potential that its reset leaves. What flows through the reset goes on through the membrane, so with the
 * membrane detached the reset carries nothing.
 */
export type Edge = "membrane" | "reset"

export class Policy extends Pipeable.Class {
  constructor(
    readonly name: string,
    /** The edges that carry no gradient. */
    readonly detached: ReadonlySet<Edge>,
    /** Gradient flows within windows of so many steps: 1 … T, or Infinity. */
    readonly window: number,
    /** Which steps are trained. */
    readonly steps: Steps.Steps,
  ) {
    super()
  }
}

/** The policy under which all gradients flow and all steps are trained. */
export const make = (name: string): Policy => new Policy(name, new Set(), Number.POSITIVE_INFINITY, Steps.all)

/** The same policy under another name. */
export const named =
  (name: string) =>
  (policy: Policy): Policy =>
    new Policy(name, policy.detached, policy.window, policy.steps)

/** Cuts the gradient of temporal edges. */
export const detach =
  (...edges: ReadonlyArray<Edge>) =>
  (policy: Policy): Policy =>
    new Policy(
      `${policy.name}-detach(${edges.join(",")})`,
      new Set([...policy.detached, ...edges]),
      policy.window,
      policy.steps,
    )

/**
 * Cuts the time steps into windows of `window`, from the first step on; gradient crosses no border between windows. Residuals of
 * one window are kept at a time. (Truncated BPTT with k₁ = k₂ = window in the notation of Williams & Peng, 1990.)
 */
export const truncate =
  (window: number) =>
  (policy: Policy): Policy =>
    new Policy(`${policy.name}-truncate(${window})`, policy.detached, Math.min(window, policy.window), policy.steps)

/** Trains some of the time steps: the others have no loss, and where nothing needs their gradient they run forward only. */
export const trainOn =
  (steps: Steps.Steps) =>
  (policy: Policy): Policy =>
    new Policy(`${policy.name}-${steps.name}`, policy.detached, policy.window, steps)

/** Backpropagation through time: all gradients, all steps. */
export const bptt = make("bptt")

/** Truncated backpropagation through time over windows of `w` steps. */
export const tbptt = (w: number): Policy => bptt.pipe(truncate(w), named(`tbptt(${w})`))

/** Spatial learning through time (Meng et al., ICCV 2023): no gradient crosses time. */
export const sltt = bptt.pipe(detach("membrane", "reset"), named("sltt"))

/** SLTT on `k` of the T steps, drawn anew for each batch. */
export const slttK = (k: number): Policy => sltt.pipe(trainOn(Steps.sample(k)), named(`slttk(${k})`))

/** The policies by name: a line here for each. Those that are functions take a number of time steps. */
export const policies = { bptt, tbptt, sltt, slttk: slttK } as const

export type PolicyName = keyof typeof policies

export const policyNames = Object.keys(policies) as ReadonlyArray<PolicyName>

/** How many steps gradient can cross, of `timeSteps`: 1 where none crosses time. */
export const windowOf = (policy: Policy, timeSteps: number): number =>
  policy.detached.has("membrane") ? 1 : Math.min(policy.window, timeSteps)

const fail = (policy: Policy, reason: string) => new PolicyError({ policy: policy.name, reason })

/** Whether the policy makes sense for so many time steps. */
export const check = (policy: Policy, timeSteps: number): Effect.Effect<void, PolicyError> => {
  if (!(policy.window >= 1) || (Number.isFinite(policy.window) && !Number.isInteger(policy.window)))
    return Effect.fail(fail(policy, `the window is ${policy.window}; it must be a whole number of steps, at least 1`))
  const trained = policy.steps.count(timeSteps)
  if (!Number.isInteger(trained) || trained < 1 || trained > timeSteps)
    return Effect.fail(fail(policy, `it trains ${trained} of ${timeSteps} time steps; choose from 1 to ${timeSteps}`))
  return Effect.void
}

/** The trained steps of one batch, ascending, counted from 0. Needs randomness where the policy draws them. */
export const draw = (policy: Policy, timeSteps: number): Effect.Effect<ReadonlyArray<number>, PolicyError> =>
  Effect.flatMap(policy.steps.draw(timeSteps), (drawn) => {
    const steps = [...new Set(drawn)].sort((a, b) => a - b)
    const announced = policy.steps.count(timeSteps)
    const good = steps.length === drawn.length && steps.every((t) => Number.isInteger(t) && t >= 0 && t < timeSteps)
    if (!good)
      return Effect.fail(
        fail(policy, `it drew the steps ${drawn.join(", ")}; they must differ and lie in 0 … ${timeSteps - 1}`),
      )
    return steps.length === announced
      ? Effect.succeed(steps)
      : Effect.fail(fail(policy, `it drew ${steps.length} steps, but announced ${announced}`))
  })
