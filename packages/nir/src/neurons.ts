/**
 * NIR's neurons in discrete time. With decay λ = 1 − dt/τ (Euler) or e^(−dt/τ) (exact):
 *
 *     LI, LIF         v ← λ·v + (1 − λ)·(v_leak + r·x)
 *     I, IF           v ← v + dt·r·x
 *     CubaLI, CubaLIF i ← λ_syn·i + (1 − λ_syn)·w_in·x,  then LI or LIF of i
 *     …IF             s = [v > v_threshold],  v ← v_reset if s = 1
 *
 * A neuron's parameters are those of the file, one per element, so that they can be written back unchanged. They are constants;
 * values derived from them, such as λ, are computed once per batch.
 */
import { elementwise, type Graph, Neuron, Options } from "@spikeroute/core"
import { Schema } from "effect"

type Expression = Neuron.Expression
type Layer = Graph.Layer

/** The discretisation of continuous time. */
export interface Discretisation {
  /**
   * Duration of a step, in seconds or the unit of the file's time constants. Default 1e-4, as in files from snnTorch and
   * SpikingJelly.
   */
  readonly dt?: number
  /** The decay: "euler", λ = 1 − dt/τ (default), or "exact", λ = e^(−dt/τ). */
  readonly scheme?: "euler" | "exact"
  /** The reset: "value", to v_reset as in NIR (default), or "subtract", by v_threshold. */
  readonly reset?: "value" | "subtract"
  /** The firing condition: "greater", v > v_threshold as in NIR (default), or "atLeast", v ≥ v_threshold. */
  readonly compare?: "greater" | "atLeast"
  /** The synapse: "filter" as in NIR (default), or "jump", which adds w_in·x to the current unscaled, i ← λ_syn·i + w_in·x. */
  readonly synapse?: "filter" | "jump"
  /** The initial potential: "zero" (default), "leak" for v_leak, or "reset" for v_reset. */
  readonly start?: "zero" | "leak" | "reset"
}

/** A discretisation with all choices made. */
export type Settled = Required<Discretisation>

/** Fills in the defaults of a discretisation. */
export const settled = (given: Discretisation): Settled => ({
  dt: 1e-4,
  scheme: "euler",
  reset: "value",
  compare: "greater",
  synapse: "filter",
  start: "zero",
  ...given,
})

/** Smaller than the distance between two float32 numbers of ordinary magnitude: subtracted from z, it turns [z ≥ 0] into [z > 0]. */
const least = 2 ** -120

/** A type of neurons: the names of its parameters, and whether it fires. */
interface Kind {
  readonly parameters: ReadonlyArray<string>
  readonly fires: boolean
}

const membrane = ["tau", "r", "v_leak"]
const current = ["tau_syn", "tau_mem", "r", "v_leak", "w_in"]
const firing = ["v_threshold", "v_reset"]

/** The types of neurons. A missing `v_reset` is 0. */
export const kinds: ReadonlyMap<string, Kind> = new Map<string, Kind>([
  ["I", { parameters: ["r"], fires: false }],
  ["IF", { parameters: ["r", ...firing], fires: true }],
  ["LI", { parameters: membrane, fires: false }],
  ["LIF", { parameters: [...membrane, ...firing], fires: true }],
  ["CubaLI", { parameters: current, fires: false }],
  ["CubaLIF", { parameters: [...current, ...firing], fires: true }],
])

type Parameters = Readonly<Record<string, Expression>>
type States = Readonly<Record<"current" | "membrane", Expression>>

/** The decay of a state, and the factor of its input. */
const leak = (tau: Expression, { dt, scheme }: Settled): readonly [kept: Expression, added: Expression] => {
  if (scheme === "euler") {
    const added = Neuron.constant(dt).dividedBy(tau)
    return [Neuron.constant(1).minus(added), added]
  }
  const kept = Neuron.exp(Neuron.constant(-dt).dividedBy(tau))
  return [kept, Neuron.constant(1).minus(kept)]
}

/** The current that charges the membrane. */
const synapticCurrent = (x: Expression, before: States, p: Parameters, how: Settled): Expression => {
  const { tau_syn: tau, w_in: weight } = p
  if (tau === undefined || weight === undefined) return x
  const [kept, added] = leak(tau, how)
  return before.current.times(kept).plus(x.times(how.synapse === "jump" ? weight : added.times(weight)))
}

/** The membrane potential before a reset. */
const charge = (input: Expression, before: Expression, p: Parameters, how: Settled): Expression => {
  const { r, v_leak: rest } = p as Readonly<Record<"r" | "v_leak", Expression>>
  const tau = p.tau ?? p.tau_mem
  if (tau === undefined) return before.plus(input.times(Neuron.constant(how.dt).times(r)))
  const [kept, added] = leak(tau, how)
  return before
    .times(kept)
    .plus(added.times(rest))
    .plus(input.times(added.times(r)))
}

/** The initial potential. The state is relative to it, because states start at 0. */
const origin = ({ v_leak: rest, v_reset: reset }: Parameters, { start }: Settled): Expression =>
  (start === "leak" ? rest : start === "reset" ? reset : undefined) ?? Neuron.constant(0)

/** [z > 0], or [z ≥ 0]. */
const above = (z: Expression, { compare }: Settled): Expression => (compare === "greater" ? z.minus(least) : z)

/** The parameters of elementwise types: neurons, scales and thresholds. */
export const elementwiseTypes: ReadonlyMap<string, ReadonlyArray<string>> = new Map([
  ...[...kinds].map(([type, { parameters }]) => [type, parameters] as const),
  ["Scale", ["scale"]],
  ["Threshold", ["threshold"]],
])

/** The layer of an elementwise type, with one number of each parameter per element or for all. */
export const elementwiseLayer = (
  type: string,
  settings: Readonly<Record<string, ReadonlyArray<number>>>,
  how: Settled,
): Layer => {
  if (type === "Scale")
    return elementwise("nir.Scale", (x, { scale }) => x.times(scale as Expression), { parameters: settings })
  const { parameters, fires } = kinds.get(type) ?? { parameters: ["threshold"], fires: true }
  const states = parameters.includes("tau_syn") ? ["current", "membrane"] : kinds.has(type) ? ["membrane"] : []
  return Neuron.make(`nir.${type}`, {
    parameters: Object.fromEntries(parameters.map((name) => [name, 0])),
    states,
    ...(fires ? {} : { surrogate: "none" as const }),
    step: ({ x, before, p, spike }) => {
      if (states.length === 0) return { states: {}, output: spike(above(x.minus(p.threshold as Expression), how)) }
      const from = origin(p, how)
      const input = synapticCurrent(x, before as States, p, how)
      const v = charge(input, (before as States).membrane.plus(from), p, how)
      const { v_threshold: threshold, v_reset: reset } = p as Readonly<Record<string, Expression>>
      // States that a type does not have are ignored.
      const after = (potential: Expression) => ({ current: input, membrane: potential.minus(from) })
      if (!fires || threshold === undefined) return { states: after(v), output: v }
      const output = spike(above(v.minus(threshold), how))
      const kind = how.reset === "value" ? "hard" : "soft"
      return { states: after(Neuron.afterReset(kind, v, output, threshold, reset)), output }
    },
  })(settings)
}

/** The Schema of {@link Discretisation}. */
export const DiscretisationSchema: Options.Of<Discretisation> = Schema.Struct({
  dt: Schema.optionalKey(Options.Positive),
  scheme: Schema.optionalKey(Options.oneOf(["euler", "exact"])),
  reset: Schema.optionalKey(Options.oneOf(["value", "subtract"])),
  compare: Schema.optionalKey(Options.oneOf(["greater", "atLeast"])),
  synapse: Schema.optionalKey(Options.oneOf(["filter", "jump"])),
  start: Schema.optionalKey(Options.oneOf(["zero", "leak", "reset"])),
})
