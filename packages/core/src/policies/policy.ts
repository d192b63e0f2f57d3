/**
 * Gradient-routing policies.
 *
 * A policy answers two questions: which temporal edges of the unrolled network carry gradient, and which time steps are trained.
 * It is a value made of smaller values, and composes by piping:
 *
 * @example
 * const sltt = Policy.bptt.pipe(Policy.detachAll)
 * const ottt = sltt.pipe(Policy.trace())
 * const lean = Policy.bptt.pipe(Policy.checkpoint(), Policy.recompute)
 * const mine = sltt.pipe(Policy.trainOn(Steps.last(4)))
 */
import { Effect, Pipeable, Schema } from "effect"
import { aCount, aPolicy, argument, aString } from "../arguments.ts"
import { describeFault, PolicyError } from "../errors.ts"
import { faultIn, must } from "../options.ts"
import { type Eligibility, eligibilityTraces } from "../program/lower/eligibility.ts"
import { type Rates, rates } from "../program/lower/rates.ts"
import { tracesOf } from "../program/traces.ts"
import { nearest, quote } from "../text.ts"
import * as Steps from "./steps.ts"

/**
 * A temporal edge by its name: a state that one time step of neurons leaves for the next, as `membrane` or `current`, or what a graph
 * feeds back or delays, as `recurrent` or `delay`. `reset` leads from a spike to the potential that its reset leaves: what flows
 * through it goes on through the membrane, so with the membrane detached the reset carries nothing.
 */
export type Edge = string

/** The factor of a trace's leak: a number, or that of the neurons that the traced input comes from. */
export type TraceDecay = number | "presynaptic"

/** What a policy is made of. */
export interface Parts {
  readonly name: string
  /** The edges that carry no gradient. */
  readonly detached: ReadonlySet<Edge> | "all"
  /** Gradient flows within windows of so many steps: 1 … T, or Infinity. */
  readonly window: number
  /** Which steps are trained. */
  readonly steps: Steps.Steps
  /** The decay of the traces that stand for presynaptic activity in the gradients of weights, where there are traces. */
  readonly trace: TraceDecay | undefined
  /** Which weight layers have such traces: a part, so that policies without any do not load it. */
  readonly traces: typeof tracesOf | undefined
  /** Eligibility traces carry the derivatives of a layer's own states forward with the steps. */
  readonly eligibility: Eligibility | undefined
  /** All steps run forward, then one backward pass goes through the means over time. */
  readonly rates: Rates | undefined
  /** Steps between two checkpoints, where steps run again rather than keep their residuals. */
  readonly checkpoint: number | "root" | undefined
  /** What maps gave is computed again in the backward direction rather than kept. */
  readonly recompute: boolean
}

export class Policy extends Pipeable.Class implements Parts {
  readonly name: string
  readonly detached: ReadonlySet<Edge> | "all"
  readonly window: number
  readonly steps: Steps.Steps
  readonly trace: TraceDecay | undefined
  readonly traces: typeof tracesOf | undefined
  readonly eligibility: Eligibility | undefined
  readonly rates: Rates | undefined
  readonly checkpoint: number | "root" | undefined
  readonly recompute: boolean

  constructor({ name, detached, window, steps, trace, traces, eligibility, rates, checkpoint, recompute }: Parts) {
    super()
    this.name = name
    this.detached = detached
    this.window = window
    this.steps = steps
    this.trace = trace
    this.traces = traces
    this.eligibility = eligibility
    this.rates = rates
    this.checkpoint = checkpoint
    this.recompute = recompute
  }
}

/** What makes another policy of one. */
export type Change = (policy: Policy) => Policy

/** A policy with some parts changed. */
const change =
  (changes: (policy: Policy) => Partial<Parts>): Change =>
  (policy) =>
    new Policy({ ...argument(policy, aPolicy, "Policy"), ...changes(policy) })

/** The policy under which all gradients flow and all steps are trained. */
export const make = (name: string): Policy =>
  new Policy({
    name: argument(name, aString, "Policy"),
    detached: new Set(),
    window: Number.POSITIVE_INFINITY,
    steps: Steps.all,
    trace: undefined,
    traces: undefined,
    eligibility: undefined,
    rates: undefined,
    checkpoint: undefined,
    recompute: false,
  })

/** The same policy under another name. */
export const named = (name: string): Change => {
  argument(name, aString, "Policy")
  return change(() => ({ name }))
}

/** Cuts the gradient of temporal edges. */
export const detach = (...edges: ReadonlyArray<Edge>): Change =>
  change(({ name, detached }) => ({
    name: `${name}-detach(${edges.map(String).join(",")})`,
    detached: detached === "all" ? "all" : new Set([...detached, ...edges]),
  }))

/** Cuts the gradient of all temporal edges, whatever their names. */
export const detachAll: Change = /* @__PURE__ */ change(({ name }) => ({
  name: `${name}-detach(all)`,
  detached: "all",
}))

/**
 * Cuts the time steps into windows of `window`, from the first step on; gradient crosses no border between windows. Residuals of
 * one window are kept at a time. (Truncated BPTT with k₁ = k₂ = window in the notation of Williams & Peng, 1990.)
 */
export const truncate = (window: number): Change =>
  change((policy) => ({
    name: `${policy.name}-truncate(${String(window)})`,
    window: typeof window === "number" ? Math.min(window, policy.window) : window,
  }))

/** Trains some of the time steps: the others have no loss, and where nothing needs their gradient they run forward only. */
export const trainOn = (steps: Steps.Steps): Change =>
  change(({ name }) => ({ name: `${name}-${String(steps?.name)}`, steps }))

/**
 * Weight gradients see a trace of the presynaptic activity in place of the activity itself:
 *
 *     â[t] = λ·â[t−1] + a[t],  â[0−] = 0,    ∂W = Σₜ ∂y[t]·â[t]ᵀ
 *
 * for every linear map and convolution y = W·a + b whose input a comes from neurons, straight or through whatever lies between
 * (pools, dropout, normalisation): a is the map's actual input. A map that no neuron stands before (the first one) sees its input
 * as it is, and biases have no trace. λ is the decay of the neurons that the input comes from, or the one given; it must be given
 * where these have different ones. A trace stands for gradient through the membrane, so that gradient has to be cut: a policy
 * whose gradient crosses time cannot have traces.
 */
export const trace = (decay: TraceDecay = "presynaptic"): Change =>
  change(({ name }) => ({
    name: `${name}-trace${decay === "presynaptic" ? "" : `(${String(decay)})`}`,
    trace: decay,
    traces: tracesOf,
  }))

/**
 * Eligibility traces: the derivatives of a layer's own states by its weights travel forward with the steps, through the edges that the
 * policy leaves, and meet at every step the gradient that arrives within it. Edges that lead back to a layer from others, `recurrent` and
 * `delay`, carry no gradient. Between weights and neurons only sums may lie.
 */
export const eligible: Change = /* @__PURE__ */ change(({ name }) => ({
  name: `${name}-eligible`,
  eligibility: eligibilityTraces,
}))

/**
 * All steps run forward and keep running means; then one backward pass goes through the means over time, as through a network without
 * time. Neurons track how their mean output changes with their mean input, through the temporal edges that the policy leaves. The loss is
 * that of the mean read-out: terms of a loss must be over the mean. Recurrent and delayed values are refused.
 */
export const throughRates: Change = /* @__PURE__ */ change(({ name }) => ({ name: `${name}-rates`, rates }))

/**
 * Runs steps again rather than keep their residuals (Chen et al., "Training deep nets with sublinear memory cost", 2016; over
 * time: Gruslys et al., "Memory-efficient backpropagation through time", NeurIPS 2016): the state is kept every `steps` steps
 * (default ⌈√window⌉), and all steps but those from the last such state on run forward twice. The gradients are the same bits.
 */
export const checkpoint = (steps: number | "root" = "root"): Change =>
  change(({ name }) => ({
    name: `${name}-checkpoint${steps === "root" ? "" : `(${String(steps)})`}`,
    checkpoint: steps,
  }))

/**
 * What a linear map or a convolution gave, and sums of it, are computed again in the backward direction, from the spikes that are kept in
 * any case, rather than kept: in networks with batch normalisation, half of what a step keeps, for up to one more forward pass. Maps of
 * more than 2048 multiplications for each number, as at the end of deep networks, are kept: they cost much and save little. The
 * gradients are the same bits. It goes with any policy, and with checkpoints: they keep fewer steps, this keeps less of each.
 *
 * @example
 * const lean = Policy.sltt.pipe(Policy.recompute)
 */
export const recompute: Change = /* @__PURE__ */ change(({ name }) => ({ name: `${name}-recompute`, recompute: true }))

/** Backpropagation through time: all gradients, all steps. */
export const bptt: Policy = /* @__PURE__ */ make("bptt")

/** Truncated backpropagation through time over windows of `w` steps. */
export const tbptt = (w: number): Policy => bptt.pipe(truncate(w), named(`tbptt(${String(w)})`))

/** Spatial learning through time (Meng et al., ICCV 2023): no gradient crosses time. */
export const sltt: Policy = /* @__PURE__ */ bptt.pipe(detachAll, /* @__PURE__ */ named("sltt"))

/** SLTT on `k` of the T steps, drawn anew for each batch. */
export const slttK = (k: number): Policy => sltt.pipe(trainOn(Steps.sample(k)), named(`slttk(${String(k)})`))

/**
 * Online training through time (Xiao et al., NeurIPS 2022): SLTT's routes, with presynaptic traces in the gradients of weights. It
 * is OTTT_A, which accumulates the gradients of all steps and updates once a batch, as in the authors' code: λ is that of the
 * neurons before the map, the first map has no trace, the classifier has one, biases have none. (OTTT_O, which updates at every
 * step, is not this.) The memory is SLTT's and one trace for each input of a map: it does not depend on T.
 */
export const ottt: Policy = /* @__PURE__ */ sltt.pipe(/* @__PURE__ */ trace(), /* @__PURE__ */ named("ottt"))

/**
 * e-prop (Bellec et al., Nature Communications 2020): eligibility traces without a gradient through the reset, as there. For a layer of
 * neurons behind which nothing has a state it is BPTT with the `recurrent` edges and the `reset` cut. A trace is a number for each input of a
 * map where the neurons are LIF or current-based LIF, else, as where they adapt, a number for each synapse and sample, of linear maps only.
 * Memory does not depend on T.
 *
 * @example
 * const throughReset = Policy.bptt.pipe(Policy.eligible)
 */
export const eprop: Policy = /* @__PURE__ */ bptt.pipe(
  /* @__PURE__ */ detach("reset"),
  eligible,
  /* @__PURE__ */ named("eprop"),
)

/**
 * Rate-based backpropagation (Yu et al., NeurIPS 2024): one backward pass for all T steps, through firing rates. Neither
 * memory nor backward work depends on T. Each neuron stores two to three numbers more than under SLTT. At T = 1 it is BPTT. The equations
 * stand in `program/lower/rates.ts`.
 */
export const rate: Policy = /* @__PURE__ */ bptt.pipe(throughRates, /* @__PURE__ */ named("rate"))

/** BPTT with the memory of about 2·√T steps, for up to one more forward pass. */
export const checkpointedBptt: Policy = /* @__PURE__ */ bptt.pipe(
  /* @__PURE__ */ checkpoint(),
  /* @__PURE__ */ named("bptt-checkpoint"),
)

/** The names are apart from the policies: a hint at a name must not load them all. */
export const policyNames = ["bptt", "bptt-checkpoint", "tbptt", "sltt", "slttk", "ottt", "eprop", "rate"] as const

export type PolicyName = (typeof policyNames)[number]

/** The policies by name. Those that are functions take a number of time steps. */
export const policies = {
  bptt,
  "bptt-checkpoint": checkpointedBptt,
  tbptt,
  sltt,
  slttk: slttK,
  ottt,
  eprop,
  rate,
} as const satisfies Readonly<Record<PolicyName, Policy | ((steps: number) => Policy)>>

/** How many steps gradient can cross, of `timeSteps`: 1 where none crosses time. */
export const windowOf = (policy: Policy, timeSteps: number, edges: ReadonlyArray<string> = ["membrane"]): number =>
  policy.rates !== undefined || policy.eligibility !== undefined || edges.every((edge) => isCut(policy, edge))
    ? 1
    : Math.min(policy.window, timeSteps)

/** Whether a policy cuts a temporal edge. */
export const isCut = ({ detached }: Pick<Policy, "detached">, edge: string): boolean =>
  detached === "all" || detached.has(edge)

/** The steps whose residuals are kept at a time: a window's, or those from one checkpoint to the next. */
export const checkpointIntervalOf = (policy: Policy, timeSteps: number, edges?: ReadonlyArray<string>): number => {
  const window = windowOf(policy, timeSteps, edges)
  if (policy.checkpoint === undefined) return window
  return policy.checkpoint === "root" ? Math.ceil(Math.sqrt(window)) : Math.min(policy.checkpoint, window)
}

const fail = (policy: Policy, reason: string) => new PolicyError({ policy: policy.name, reason })

/** Edges that may be named whether or not a graph has them: most neurons do. */
const usual: ReadonlyArray<Edge> = ["membrane", "reset"]

const hint = (given: unknown, names: Iterable<string>): string => {
  const similar = typeof given === "string" ? nearest(given, names) : undefined
  return similar === undefined ? "" : ` (did you mean "${similar}"?)`
}

const isStep = (steps: unknown): boolean => Number.isInteger(steps) && (steps as number) >= 1

/** The parts of a policy that are numbers or steps: `truncate`, `trace`, `checkpoint` and `trainOn`. */
export const PolicySchema: Schema.Struct<{
  readonly window: Schema.Unknown
  readonly trace: Schema.optionalKey<Schema.Unknown>
  readonly checkpoint: Schema.optionalKey<Schema.Unknown>
  readonly steps: Schema.Unknown
}> = /* @__PURE__ */ Schema.Struct({
  window: /* @__PURE__ */ Schema.Unknown.check(
    /* @__PURE__ */ must(
      "a whole number of time steps from 1 on, or Infinity",
      (w) => w === Number.POSITIVE_INFINITY || isStep(w),
    ),
  ),
  trace: /* @__PURE__ */ Schema.optionalKey(
    /* @__PURE__ */ Schema.Unknown.check(
      /* @__PURE__ */ must(
        'a number from 0 to 1, or "presynaptic"',
        (decay) => decay === "presynaptic" || (typeof decay === "number" && decay >= 0 && decay <= 1),
      ),
    ),
  ),
  checkpoint: /* @__PURE__ */ Schema.optionalKey(
    /* @__PURE__ */ Schema.Unknown.check(
      /* @__PURE__ */ must(
        'a whole number of time steps from 1 on, or "root"',
        (steps) => steps === "root" || isStep(steps),
      ),
    ),
  ),
  steps: /* @__PURE__ */ Schema.Unknown.check(
    /* @__PURE__ */ must(
      "steps, as Steps.last(2), from 1 to all of the time steps",
      (steps) => typeof (steps as Steps.Steps | null)?.count === "function",
    ),
  ),
})

/** Whether the policy is one, and makes sense for so many time steps and, where they are known, the temporal edges of a graph. */
export const check = (
  policy: Policy,
  timeSteps: number,
  edges?: ReadonlySet<Edge>,
): Effect.Effect<void, PolicyError> => {
  if (!(policy instanceof Policy))
    return Effect.fail(
      new PolicyError({
        policy: typeof policy === "string" ? policy : quote(policy),
        reason: `it must be a policy, as Policy.sltt, or what a policy is piped through${
          typeof policy === "function" ? ", called, as Policy.slttK(2)" : hint(policy, policyNames)
        }`,
      }),
    )
  const known = [...new Set([...usual, ...(edges ?? [])])]
  for (const edge of policy.detached === "all" || edges === undefined ? [] : policy.detached)
    if (!known.includes(edge))
      return Effect.fail(
        fail(policy, `it detaches ${quote(edge)}${hint(edge, known)}; the temporal edges here are ${known.join(", ")}`),
      )
  const { window, trace, checkpoint, steps } = policy
  const fault = faultIn(PolicySchema as Schema.Codec<unknown>, { window, trace, checkpoint, steps })
  if (fault !== undefined) return Effect.fail(fail(policy, describeFault(fault)))
  const { rates, eligibility } = policy
  if (rates !== undefined || eligibility !== undefined)
    for (const [part, isThere] of [
      ["trace", trace !== undefined],
      ["checkpoint", checkpoint !== undefined],
      ["truncate", window !== Number.POSITIVE_INFINITY],
      ["eligible", rates !== undefined && eligibility !== undefined],
      ["trainOn", rates !== undefined && steps !== Steps.all],
    ] as const)
      if (isThere) return Effect.fail(fail(policy, `it does not go with ${part}`))
  if (trace !== undefined && !isCut(policy, "membrane") && window !== 1)
    return Effect.fail(
      fail(policy, "a trace stands for gradient through the membrane, which flows here as well: detach the membrane"),
    )
  const trained = steps.count(timeSteps)
  if (!Number.isInteger(trained) || trained < 1 || trained > timeSteps)
    return Effect.fail(
      fail(policy, `it trains ${quote(trained)} of ${timeSteps} time steps; choose from 1 to ${timeSteps}`),
    )
  return Effect.void
}

/** The trained steps of one batch, ascending, counted from 0. Needs randomness where the policy draws them. */
export const draw = (policy: Policy, timeSteps: number): Effect.Effect<ReadonlyArray<number>, PolicyError> =>
  Effect.flatMap(argument(policy, aPolicy, "Policy").steps.draw(argument(timeSteps, aCount, "Policy")), (drawn) => {
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
