/**
 * Gradient-routing policies.
 *
 * A policy determines which temporal edges of the unrolled network carry gradient, and which time steps are trained. Policies are
 * composed by piping:
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
 * The name of a temporal edge: a state that neurons pass between time steps, such as `membrane` or `current`, or a value that a
 * graph feeds back or delays, such as `recurrent` or `delay`. `reset` leads from a spike to the potential after its reset. Its
 * gradient continues through the membrane, so it carries nothing if the membrane is detached.
 */
export type Edge = string

/** The decay of a trace: a number, or the decay of the neurons that the traced input comes from. */
export type TraceDecay = number | "presynaptic"

/** The parts of a policy. */
export interface Parts {
  readonly name: string
  /** Edges that carry no gradient. */
  readonly detached: ReadonlySet<Edge> | "all"
  /** Gradient flows within windows of this many steps, 1 … T or Infinity. */
  readonly window: number
  /** Which steps are trained. */
  readonly steps: Steps.Steps
  /** The decay of the traces that replace presynaptic activity in weight gradients; `undefined` without traces. */
  readonly trace: TraceDecay | undefined
  /** Finds the weight layers that have such traces. A part of the policy, so that bundles without traces do not contain it. */
  readonly traces: typeof tracesOf | undefined
  /** Lowers eligibility traces, which carry the derivatives of a layer's own states forward in time. */
  readonly eligibility: Eligibility | undefined
  /** Lowers rate-based backpropagation: all steps run forward, followed by one backward pass through means over time. */
  readonly rates: Rates | undefined
  /** Number of steps between checkpoints, if steps are recomputed instead of storing their residuals. */
  readonly checkpoint: number | "root" | undefined
  /** Whether the backward direction recomputes the outputs of weight layers instead of storing them. */
  readonly recompute: boolean
}

/** A gradient-routing policy. Build one with {@link make} and the functions of this module. */
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

/** A function that derives one policy from another. */
export type Change = (policy: Policy) => Policy

/** Changes some parts of a policy. */
const change =
  (changes: (policy: Policy) => Partial<Parts>): Change =>
  (policy) =>
    new Policy({ ...argument(policy, aPolicy, "Policy"), ...changes(policy) })

/**
 * A policy in which all edges carry gradient and all steps are trained.
 *
 * @throws OptionError if the name is not a string
 */
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

/**
 * Renames a policy.
 *
 * @throws OptionError if the name is not a string
 */
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
 * Splits the time steps into windows of `window` steps, starting at the first step; no gradient crosses between windows. Only the
 * residuals of one window are stored at a time. (Truncated BPTT with k₁ = k₂ = window in the notation of Williams & Peng, 1990.)
 */
export const truncate = (window: number): Change =>
  change((policy) => ({
    name: `${policy.name}-truncate(${String(window)})`,
    window: typeof window === "number" ? Math.min(window, policy.window) : window,
  }))

/** Trains only some of the time steps. The others have no loss, and run forward only unless their gradient is needed. */
export const trainOn = (steps: Steps.Steps): Change =>
  change(({ name }) => ({ name: `${name}-${String(steps?.name)}`, steps }))

/**
 * Replaces presynaptic activity in weight gradients with a trace of it:
 *
 *     â[t] = λ·â[t−1] + a[t],  â[0−] = 0,    ∂W = Σₜ ∂y[t]·â[t]ᵀ
 *
 * This applies to every linear layer and convolution y = W·a + b whose input a comes from neurons, directly or through other layers
 * (pools, dropout, normalisation); a is the layer's actual input. A weight layer without neurons before it (the first one) uses its
 * input unchanged, and biases have no trace. λ is `decay`, by default the decay of the neurons that the input comes from; it must
 * be given if these have different decays. A trace replaces the gradient through the membrane, so that gradient must be cut: a
 * policy whose gradient crosses time cannot have traces.
 */
export const trace = (decay: TraceDecay = "presynaptic"): Change =>
  change(({ name }) => ({
    name: `${name}-trace${decay === "presynaptic" ? "" : `(${String(decay)})`}`,
    trace: decay,
    traces: tracesOf,
  }))

/**
 * Eligibility traces: the derivatives of a layer's own states with respect to its weights are carried forward in time, over the
 * edges that the policy does not cut, and multiplied at every step with the gradient that arrives within that step. Edges from
 * other layers back to a layer, `recurrent` and `delay`, carry no gradient. Only sums may lie between weights and neurons.
 */
export const eligible: Change = /* @__PURE__ */ change(({ name }) => ({
  name: `${name}-eligible`,
  eligibility: eligibilityTraces,
}))

/**
 * All steps run forward and accumulate running means; then one backward pass runs through the means over time, as through a network
 * without time. Neurons track how their mean output changes with their mean input, over the temporal edges that the policy does not
 * cut. The loss is that of the mean read-out: terms of a loss must be over the mean. Recurrent and delayed values are not
 * supported.
 */
export const throughRates: Change = /* @__PURE__ */ change(({ name }) => ({ name: `${name}-rates`, rates }))

/**
 * Gradient checkpointing: recomputes steps instead of storing their residuals (Chen et al., "Training deep nets with sublinear
 * memory cost", 2016; over time: Gruslys et al., "Memory-efficient backpropagation through time", NeurIPS 2016). The state is saved
 * every `steps` steps (default ⌈√window⌉), and all steps before the last saved state run forward twice. The gradients are
 * bit-identical.
 */
export const checkpoint = (steps: number | "root" = "root"): Change =>
  change(({ name }) => ({
    name: `${name}-checkpoint${steps === "root" ? "" : `(${String(steps)})`}`,
    checkpoint: steps,
  }))

/**
 * Recomputes the outputs of linear layers and convolutions, and sums of them, in the backward direction from the spikes that are
 * stored anyway, instead of storing them. In networks with batch normalisation this halves what a step stores, for up to one more
 * forward pass. Outputs of more than 2048 multiplications per element, as at the end of deep networks, are stored, because
 * recomputing them is expensive and saves little. The gradients are bit-identical. It combines with any policy and with
 * checkpoints: checkpoints store fewer steps, this stores less of each.
 *
 * @example
 * const lean = Policy.sltt.pipe(Policy.recompute)
 */
export const recompute: Change = /* @__PURE__ */ change(({ name }) => ({ name: `${name}-recompute`, recompute: true }))

/** Backpropagation through time: all gradients, all steps. */
export const bptt: Policy = /* @__PURE__ */ make("bptt")

/** Truncated backpropagation through time over windows of `w` steps. */
export const tbptt = (w: number): Policy => bptt.pipe(truncate(w), named(`tbptt(${String(w)})`))

/** Spatial learning through time (Meng et al., ICCV 2023): no gradient crosses time steps. */
export const sltt: Policy = /* @__PURE__ */ bptt.pipe(detachAll, /* @__PURE__ */ named("sltt"))

/** SLTT on `k` of the T steps, drawn at random for each batch. */
export const slttK = (k: number): Policy => sltt.pipe(trainOn(Steps.sample(k)), named(`slttk(${String(k)})`))

/**
 * Online training through time (Xiao et al., NeurIPS 2022): SLTT with presynaptic traces in the weight gradients. This is OTTT_A,
 * which accumulates the gradients of all steps and updates once per batch, as in the authors' code (OTTT_O updates at every step).
 * λ is the decay of the neurons before a weight layer; the first layer has no trace, the classifier has one, biases have none.
 * Memory is that of SLTT plus one trace per input of a weight layer; it does not depend on T.
 */
export const ottt: Policy = /* @__PURE__ */ sltt.pipe(/* @__PURE__ */ trace(), /* @__PURE__ */ named("ottt"))

/**
 * e-prop (Bellec et al., Nature Communications 2020): eligibility traces without gradient through the reset. For a layer of neurons
 * that is followed by no other state, it equals BPTT with the `recurrent` edges and the `reset` cut. A trace is one number per
 * input of a weight layer for LIF and current-based LIF neurons; for others, such as adaptive neurons, it is one number per synapse
 * and sample, for linear layers only. Memory does not depend on T.
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
 * Rate-based backpropagation (Yu et al., NeurIPS 2024): one backward pass through firing rates for all T steps. Neither memory nor
 * backward cost depends on T. Each neuron stores two to three numbers more than with SLTT. With T = 1 it equals BPTT. For the
 * equations, see `program/lower/rates.ts`.
 */
export const rate: Policy = /* @__PURE__ */ bptt.pipe(throughRates, /* @__PURE__ */ named("rate"))

/** BPTT with the memory of about 2·√T steps, for up to one more forward pass. */
export const checkpointedBptt: Policy = /* @__PURE__ */ bptt.pipe(
  /* @__PURE__ */ checkpoint(),
  /* @__PURE__ */ named("bptt-checkpoint"),
)

/** The names of the policies, separate from the policies so that error messages do not pull all of them into a bundle. */
export const policyNames = ["bptt", "bptt-checkpoint", "tbptt", "sltt", "slttk", "ottt", "eprop", "rate"] as const

/** The name of a policy. */
export type PolicyName = (typeof policyNames)[number]

/** The policies by name. Functions take a number of time steps. */
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

/** Number of steps within which gradient flows; 1 if none crosses time steps. */
export const windowOf = (policy: Policy, timeSteps: number, edges: ReadonlyArray<string> = ["membrane"]): number =>
  argument(policy, aPolicy, "Policy").rates !== undefined ||
  policy.eligibility !== undefined ||
  edges.every((edge) => isCut(policy, edge))
    ? 1
    : Math.min(policy.window, timeSteps)

/** Whether a policy cuts a temporal edge. */
export const isCut = (policy: Policy, edge: string): boolean => {
  const { detached } = argument(policy, aPolicy, "Policy")
  return detached === "all" || detached.has(edge)
}

/** Number of steps whose residuals are stored at a time: those of a window, or those between two checkpoints. */
export const checkpointIntervalOf = (policy: Policy, timeSteps: number, edges?: ReadonlyArray<string>): number => {
  const window = windowOf(policy, timeSteps, edges)
  if (policy.checkpoint === undefined) return window
  return policy.checkpoint === "root" ? Math.ceil(Math.sqrt(window)) : Math.min(policy.checkpoint, window)
}

const fail = (policy: Policy, reason: string) => new PolicyError({ policy: policy.name, reason })

/** Edges that may be named for every graph, because most neurons have them. */
const usual: ReadonlyArray<Edge> = ["membrane", "reset"]

const hint = (given: unknown, names: Iterable<string>): string => {
  const similar = typeof given === "string" ? nearest(given, names) : undefined
  return similar === undefined ? "" : ` (did you mean "${similar}"?)`
}

const isStep = (steps: unknown): boolean => Number.isInteger(steps) && (steps as number) >= 1

/** The Schema of the parts of a policy that are numbers or steps: `truncate`, `trace`, `checkpoint` and `trainOn`. */
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
      "steps, such as Steps.last(2), from 1 to all time steps",
      (steps) => typeof (steps as Steps.Steps | null)?.count === "function",
    ),
  ),
})

/** Checks a policy for a number of time steps and, if given, the temporal edges of a graph. Fails with a PolicyError. */
export const check = (
  policy: Policy,
  timeSteps: number,
  edges?: ReadonlySet<Edge>,
): Effect.Effect<void, PolicyError> => {
  if (!(policy instanceof Policy))
    return Effect.fail(
      new PolicyError({
        policy: typeof policy === "string" ? policy : quote(policy),
        reason: `it must be a policy, such as Policy.sltt or Policy.slttK(2)`,
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
      if (isThere) return Effect.fail(fail(policy, `it cannot be combined with ${part}`))
  if (trace !== undefined && !isCut(policy, "membrane") && window !== 1)
    return Effect.fail(
      fail(policy, "a trace replaces gradient through the membrane, which still flows: detach the membrane"),
    )
  const trained = steps.count(timeSteps)
  if (!Number.isInteger(trained) || trained < 1 || trained > timeSteps)
    return Effect.fail(
      fail(policy, `it trains ${quote(trained)} of ${timeSteps} time steps; choose from 1 to ${timeSteps}`),
    )
  return Effect.void
}

/**
 * The trained steps of one batch, ascending, counted from 0. Uses Effect's `Random` if the policy draws them. Fails with a
 * PolicyError if custom steps return invalid ones.
 */
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
